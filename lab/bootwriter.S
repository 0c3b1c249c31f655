# A guest in one boot sector. It writes 32 KiB blocks round and round to each of its
# disks through the BIOS, stamps the running number of the block into every one of its
# sectors, and reads each 16th block back. On the first serial port it says
#   B  booted      v  a block was read back as it was written
#   E  a read or a write failed      M  a block was read back other than it was written
# The settings stand at the end of the sector and are patched by lab/bootsector.py.

        .code16
        .text
        .globl  _start

        .set    BLOCK, 0x8000           # the block to be written, 64 sectors long
        .set    COPY_SEGMENT, 0x1800    # where a block is read back to
        .set    SECTORS, 64
        .set    FIRST_SECTOR, 2048      # the boot sector and 1 MiB stay untouched

_start: cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        sti
        cld
        movb    %dl, first_disk
        movb    $'B', %al
        call    say
        cmpb    $0, idle
        jne     rest

next:   call    stamp
        movl    number, %eax            # place = number modulo the count of blocks
        xorl    %edx, %edx
        movl    blocks, %ecx
        divl    %ecx
        shll    $6, %edx
        addl    $FIRST_SECTOR, %edx
        movl    %edx, packet_sector

        movb    first_disk, %dl
        movb    disks, %cl
each:   pushw   %cx
        pushw   %dx
        call    write
        popw    %dx
        popw    %cx
        incb    %dl
        decb    %cl
        jnz     each

        incl    number
        movw    ticks, %cx
        jcxz    2f
1:      hlt                             # until the timer's next tick
        loop    1b
2:      movw    pause_high, %cx         # BIOS: wait CX:DX microseconds
        movw    pause_low, %dx
        movw    %cx, %ax
        orw     %dx, %ax
        jz      next
        movb    $0x86, %ah
        int     $0x15
        jmp     next

rest:   hlt
        jmp     rest

# Writes the block to disk DL and, each 16th time, reads it back.
write:  movw    $0x4300, %ax
        movw    $(BLOCK >> 4), %bx
        call    disk
        jc      failed
        testb   $15, number
        jnz     done
        movw    $0x4200, %ax
        movw    $COPY_SEGMENT, %bx
        call    disk
        jc      failed
        movw    $COPY_SEGMENT, %ax
        movw    %ax, %es
        movl    number, %eax
        xorw    %di, %di
        movw    $SECTORS, %cx
same:   cmpl    %eax, %es:(%di)
        jne     differ
        addw    $512, %di
        loop    same
        movb    $'v', %al
        jmp     say
differ: movb    $'M', %al
        jmp     say
failed: movb    $'E', %al
        jmp     say
done:   ret

# Puts the number, and a mark, at the start of each sector of the block.
stamp:  movl    number, %eax
        movw    $BLOCK, %di
        movw    $SECTORS, %cx
1:      movl    %eax, (%di)
        movl    $0x59504342, 4(%di)     # "BCPY"
        addw    $512, %di
        loop    1b
        ret

# AX: the BIOS function, DL: the disk, BX: the segment of the buffer.
disk:   movw    %bx, packet_segment
        movw    $SECTORS, packet_count  # an error leaves a smaller count behind
        movw    $packet, %si
        int     $0x13
        ret

# Says the letter AL. The data segment is 0, the extra one is put right by the way.
say:    xorw    %bx, %bx
        movw    %bx, %es
        movw    $0x3f8, %dx
        outb    %al, %dx
        ret

        .balign 4
packet: .byte   16, 0
packet_count:   .word   SECTORS
                .word   0
packet_segment: .word   0
packet_sector:  .long   0, 0
number:         .long   0
first_disk:     .byte   0

        .org    0x1a0                   # the settings
blocks:         .long   1024
pause_low:      .word   0
pause_high:     .word   0
idle:           .byte   0
disks:          .byte   1
ticks:          .word   0

        .org    0x1fe
        .word   0xaa55
