"""The hypervisor layer on real libvirt and QEMU."""
