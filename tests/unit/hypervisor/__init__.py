"""The hypervisor layer without a hypervisor."""
