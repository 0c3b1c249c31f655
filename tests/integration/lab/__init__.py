"""Tests of the lab on real libvirt, QEMU, Redis and PostgreSQL."""
