"""Tests against real libvirt and QEMU."""
