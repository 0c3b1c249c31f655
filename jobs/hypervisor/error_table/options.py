"""What libvirt says of the options of a copy."""

from __future__ import annotations

from jobs.hypervisor.error_table.row import (
    ARGUMENT_UNSUPPORTED,
    CONFIG_UNSUPPORTED,
    INTERNAL,
    INVALID_ARG,
    OVERFLOW,
    Row,
    Section,
)
from jobs.hypervisor.errors import (
    InvalidOption,
)
from jobs.said import say

OPTIONS = Section(
    "Options",
    (
        Row(
            (CONFIG_UNSUPPORTED,),
            r"into a raw file is not possible",
            InvalidOption,
            "unsupported configuration: shallow copy of disk 'vda' into a raw file is "
            "not possible",
            say("A shallow copy needs a format with a backing file, which raw is not."),
            say("Choose qcow2, or copy the whole chain."),
        ),
        Row(
            (INVALID_ARG,),
            r"backingStore of mirror",
            InvalidOption,
            "invalid argument: backingStore of mirror without "
            "VIR_DOMAIN_BLOCK_COPY_SHALLOW doesn't make sense",
            say("A backing file was named for a copy that is not shallow."),
            say("Make it a shallow copy, or leave the backing file away."),
        ),
        Row(
            (INVALID_ARG,),
            r"granularity must be power of 2",
            InvalidOption,
            "invalid argument: granularity must be power of 2",
            say("The granularity is not a power of two."),
            say("Choose 64 KiB, 128 KiB, 256 KiB …, or leave it to libvirt."),
        ),
        Row(
            (INTERNAL,),
            r"\[512B, 64MB\]|expects uint32",
            InvalidOption,
            "internal error: unable to execute QEMU command 'blockdev-mirror': "
            "Parameter 'granularity' expects a value in range [512B, 64MB]",
            say("The granularity is smaller than 512 bytes or larger than 64 MiB."),
            say("Choose one in between, or leave it to libvirt."),
        ),
        Row(
            (INTERNAL,),
            r"parameter 'buf-size'",
            InvalidOption,
            "internal error: Invalid parameter 'buf-size'",
            say("The buffer size is larger than QEMU can take."),
            say("Choose a smaller one, or leave it to libvirt."),
        ),
        Row(
            (INVALID_ARG, OVERFLOW),
            r"bandwidth must be less",
            InvalidOption,
            "numerical overflow: bandwidth must be less than 8796093022207",
            say("The bandwidth is larger than libvirt can take."),
            say("Choose a smaller one, or 0 for no limit."),
        ),
        Row(
            (INVALID_ARG, ARGUMENT_UNSUPPORTED),
            r"unsupported flags|parameter .* not supported",
            InvalidOption,
            "invalid argument: unsupported flags (0x10) in function "
            "qemuDomainBlockCopy",
            say("The host's libvirt is too old for one of the options."),
            say("Leave the option away, or update the host."),
        ),
    ),
)
