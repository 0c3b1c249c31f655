"""What libvirt says of destinations."""

from __future__ import annotations

from jobs.hypervisor.error_table.row import (
    ANY_FAILURE,
    CONFIG_UNSUPPORTED,
    INTERNAL,
    INVALID_ARG,
    NO_SOURCE,
    OPERATION_INVALID,
    STORAGE_VOL_EXIST,
    SYSTEM_ERROR,
    XML_DETAIL,
    XML_ERROR,
    Row,
    Section,
)
from jobs.hypervisor.errors import (
    DestinationExists,
    DestinationUnusable,
    KeyNotTimed,
)
from jobs.said import say

_FREE_SPACE = say("Free some space there, or choose another destination.")
_RIGHTS = say(
    "Let the user that runs QEMU on the host write there; with "
    "SELinux or AppArmor the path must be allowed as well."
)
PLACES = Section(
    "Destinations",
    (
        Row(
            (STORAGE_VOL_EXIST, OPERATION_INVALID),
            r"volume target path .* already exists|volume .* exists already",
            DestinationExists,
            "storage volume 'web.qcow2' exists already",
            say("The storage pool has a volume of that name already."),
            say("Choose another name, or remove that volume."),
        ),
        Row(
            (CONFIG_UNSUPPORTED,),
            r"already exists and is not a block",
            DestinationExists,
            "unsupported configuration: external destination file for disk vda already "
            "exists and is not a block device: /images/b.qcow2",
        ),
        Row(
            (),
            r"unable to get accurate CPU usage",
            KeyNotTimed,
            "operation failed: failed to format image: 'Unable to get accurate CPU "
            "usage'",
        ),
        Row(
            (),
            r"no space left|disk quota exceeded|not enough free space",
            DestinationUnusable,
            "operation failed: failed to format image: 'Could not write qcow2 header: "
            "No space left on device'",
            say("The destination's storage is full."),
            _FREE_SPACE,
        ),
        Row(
            (),
            r"file too large|image size is too large",
            DestinationUnusable,
            "cannot extend file '/images/big': File too large",
            say("The storage cannot hold an image of that size."),
            say("Choose another place or another format."),
        ),
        Row(
            (),
            r"failed to get .* lock",
            DestinationUnusable,
            "internal error: unable to execute QEMU command 'blockdev-add': Failed to "
            'get "write" lock',
            say("The destination is in use by a disk of a running guest."),
            say("Choose another destination."),
        ),
        Row(
            (SYSTEM_ERROR,),
            r"missing destination file",
            DestinationUnusable,
            "missing destination file for disk vda: /b: No such file or directory",
            say("The file or device that was to be reused is not there."),
            say(
                "Create it first with exactly the disk's size, or let the copy "
                "create a file."
            ),
        ),
        Row(
            ANY_FAILURE,
            r"copy target.*no such file",
            DestinationUnusable,
            "failed to create copy target: No such file or directory",
            say("The destination's directory does not exist on the host."),
            say("Create the directory on the host, or choose another one."),
        ),
        Row(
            ANY_FAILURE,
            r"read-only file system",
            DestinationUnusable,
            "failed to create copy target: Read-only file system",
            say("The destination's file system can only be read."),
            say("Choose another destination, or let the file system be written to."),
        ),
        Row(
            ANY_FAILURE,
            r"(copy target|destination|could not open|could not create|blockdev"
            r"|cannot (create|unlink|open)).*permission denied",
            DestinationUnusable,
            "failed to create copy target: Permission denied",
            say("The host may not write at the destination."),
            _RIGHTS,
        ),
        Row(
            (INTERNAL, CONFIG_UNSUPPORTED),
            r"image is not in|destination format must be specified"
            r"|driver format value",
            DestinationUnusable,
            "internal error: unable to execute QEMU command 'blockdev-add': Image is "
            "not in qcow2 format",
            say("The file that was to be reused has another format than was said."),
            say("Say the format that the file really has."),
        ),
        Row(
            ANY_FAILURE,
            r"copy target|failed to format image|could not open|could not create",
            DestinationUnusable,
            "operation failed: failed to format image: 'Could not resize file'",
            say("No image could be made or opened at the destination."),
            say(
                "Check on the host that the place takes such a file or device; "
                "a device must be called one."
            ),
        ),
        Row(
            (INVALID_ARG, CONFIG_UNSUPPORTED),
            r"blockdev flag requested|not a block device",
            DestinationUnusable,
            "invalid argument: blockdev flag requested for disk vda, but file '/b' is "
            "not a block device",
            say("The destination is not a block device."),
            say("Say file instead of device, or name a device."),
        ),
        Row(
            (INVALID_ARG,),
            r"absolute path must be used",
            DestinationUnusable,
            "invalid argument: absolute path must be used as block copy target",
            say("The destination must be an absolute path."),
            say("Write the whole path, from “/” on."),
        ),
        Row(
            (INTERNAL,),
            r"failed to connect to|requested export not available|no route to host"
            r"|error connecting|failed to resolve|network is unreachable"
            r"|blockdev-add.*connection (refused|timed out)",
            DestinationUnusable,
            "internal error: unable to execute QEMU command 'blockdev-add': Failed to "
            "connect to '127.0.0.1:10809': Connection refused",
            say("The host cannot reach the destination's server or export."),
            say("Check that the server runs and that the export's name is right."),
        ),
        Row(
            (INTERNAL,),
            r"unknown (driver|protocol)|driver '[^']+' (is not|can)|not whitelisted"
            r"|does not accept value '(rbd|gluster|iscsi|nbd)'",
            DestinationUnusable,
            "internal error: unable to execute QEMU command 'blockdev-add': Parameter "
            "'driver' does not accept value 'rbd'",
            say("The host's QEMU has no driver for this kind of destination."),
            say(
                "Install QEMU's block driver package on the host, or choose "
                "another destination."
            ),
        ),
        Row(
            (INTERNAL, CONFIG_UNSUPPORTED),
            r"is not translated",
            DestinationUnusable,
            "internal error: storage source pool 'fast' volume 'web' is not translated",
            say("libvirt takes no volume as a destination, only its path."),
            say("Read the host's inventory again, and choose the volume anew."),
        ),
        Row(
            (NO_SOURCE, XML_ERROR, XML_DETAIL),
            "",
            DestinationUnusable,
            "missing source information for device vda",
            say("libvirt can't make sense of the destination's XML."),
            say("Look at the XML that the job shows; correct it, or use the fields."),
        ),
    ),
)
