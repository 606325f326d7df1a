# First sector of the boot disk: loads the stub behind it to 0x7000:0 and starts it. Started again while the stub is
# resident, by iPXE's `sanboot`, it hands over to it (README.md). All segment registers are 0.

        .code16
        .include "layout.inc"

        .globl  _start
_start: cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        sti
        cld
        ljmp    $0, $1f

# Memory outlives a reset, so the mark alone proves nothing; but each start the BIOS sets anew how much base memory is free.
1:      cmpw    $STUB_KIB, FREE_KIB
        ja      cold
        movw    $STUB_SEGMENT, %ax
        movw    %ax, %es
        cmpl    $STUB_MARK, %es:MARK_AT
        jne     small
        ljmp    $STUB_SEGMENT, $RESIDENT_AT

cold:   movw    $no_memory, %si
        cmpw    $STUB_KIB + 64, FREE_KIB
        jb      fail
        movw    stub_sectors, %ax
        movw    %ax, packet + 2
        movw    $packet, %si
        movb    $0x42, %ah                      # extended read; DL is the drive this sector came from
        pushw   %dx
        int     $0x13
        popw    %dx
        movw    $no_disk, %si
        jc      fail
        ljmp    $STUB_SEGMENT, $0

small:  movw    $no_memory, %si
fail:   lodsb
        testb   %al, %al
        jz      wait
        movb    $0x0e, %ah                      # teletype: there is no serial line yet
        xorw    %bx, %bx
        int     $0x10
        jmp     fail
wait:   movw    $0x4c, %cx                      # 5 s, in microseconds
        movw    $0x4b40, %dx
        movb    $0x86, %ah
        int     $0x15
        ljmp    $0xffff, $0                     # start again

packet: .byte   16, 0
        .word   0                               # sectors
        .word   0, STUB_SEGMENT
        .quad   1                               # from the second sector on

no_disk:
        .asciz  "\r\nbootwright: firmware error cannot read the boot disk\r\n"
no_memory:
        .asciz  "\r\nbootwright: firmware error too little base memory\r\n"

# What boot-disk.ts fills in.
        .org    SETTINGS_AT
        .ascii  "BWB1"
stub_sectors:
        .word   0
        .word   0                               # milliseconds to listen
        .long   0                               # first sector of iPXE
        .long   0                               # its bytes

# One active partition that holds all of it: some BIOSes start no disk without. Type 0xda: no file system.
        .org    0x1be
        .byte   0x80, 0, 2, 0, 0xda, 0xff, 0xff, 0xff
        .long   1, 0
        .org    0x1fe
        .word   0xaa55

        .section .note.GNU-stack, "", @progbits
