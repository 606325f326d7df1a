# The stub's ways in, and the way between its C, which runs in flat 32 bits with interrupts off, and the BIOS, which
# wants real mode (Intel SDM volume 3, "Mode Switching"). In real mode code, data and stack lie in segment 0x7000.

        .include "layout.inc"
        .set    CODE32, 0x08                    # selectors of the descriptors at gdt
        .set    DATA32, 0x10
        .set    CODE16, 0x18
        .set    DATA16, 0x20
        .set    STACK_TOP, 0xfff0
        .set    REGISTERS, 10                   # double words of struct registers (bios.h)

        .section .entry, "awx"
        .code16
        .globl  _start
_start: jmp     cold
        .org    MARK_AT
        .long   STUB_MARK
        .org    RESIDENT_AT
        movl    $resident, %ebx                 # the first sector, started by iPXE
        jmp     enter

# Nothing that could be booted is left: iPXE has ended.
next_device:
        movl    $left, %ebx
        jmp     enter

cold:   movw    $STUB_KIB, %es:FREE_KIB         # ES is 0. Neither iPXE nor Linux takes what is above
        movw    $next_device - _start, %es:4 * 0x18
        movw    %cs, %es:4 * 0x18 + 2
        movl    $begin, %ebx
enter:  cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movl    $STACK_TOP, %esp
        movzbl  %dl, %ecx                       # drive
        movw    $protected - _start, %ax
        jmp     to_32

# On with what 32-bit code AX is the offset of; EBX and ECX are kept.
to_32:  lgdtl   gdtr - _start
        movl    %cr0, %edx
        orb     $1, %dl
        movl    %edx, %cr0
        ljmpl   $CODE32, $1f
        .code32
1:      movl    $DATA32, %edx
        movl    %edx, %ds
        movl    %edx, %es
        movl    %edx, %fs
        movl    %edx, %gs
        movl    %edx, %ss
        movzwl  %sp, %esp
        addl    $STUB_BASE, %esp
        movzwl  %ax, %eax
        addl    $STUB_BASE, %eax
        jmp     *%eax

protected:
        jmp     *%ebx

begin:  movl    $bss_start, %edi
        movl    %ecx, %edx
        movl    $bss_end, %ecx
        subl    %edi, %ecx
        xorl    %eax, %eax
        rep stosb
        pushl   %edx
        call    bw_start                        # (drive), does not return

resident:
        call    bw_started_again
        movw    $give_back - _start, %ax
        jmp     to_16
        .code16
give_back:
        sti
        int     $0x18                           # iPXE goes on behind its sanboot

        .code32
left:   call    bw_ipxe_ended                   # does not return

# On with the 16-bit code that AX is the offset of.
to_16:  ljmpl   $CODE16, $1f - _start
        .code16
1:      movw    $DATA16, %dx                    # limits as real mode has them
        movw    %dx, %ds
        movw    %dx, %es
        movw    %dx, %fs
        movw    %dx, %gs
        movw    %dx, %ss
        movl    %cr0, %edx
        andb    $0xfe, %dl
        movl    %edx, %cr0
        ljmp    $STUB_SEGMENT, $1f - _start
1:      movw    %cs, %dx
        movw    %dx, %ds
        movw    %dx, %ss
        movzwl  %sp, %esp
        jmp     *%ax

# void bios_call(uint8_t vector, struct registers *registers)
        .code32
        .globl  bios_call
bios_call:
        pushal
        movl    36(%esp), %eax
        movb    %al, vector
        movl    40(%esp), %esi
        movl    $frame, %edi
        movl    $REGISTERS, %ecx
        rep movsl
        movw    $call_bios - _start, %ax
        jmp     to_16
        .code16
call_bios:
        movw    %sp, stack - _start
        movw    $frame - _start, %sp            # all but the segments and flags lie as popal wants them
        popal
        popw    %es
        popw    %ds
        movw    %cs:stack - _start, %sp
        sti
        .byte   0xcd                            # int
vector: .byte   0
        cli
        cld
        movw    $frame_end - _start, %sp
        pushfl
        pushw   %ds
        pushw   %es
        pushal
        movw    %cs, %ax
        movw    %ax, %ds
        movw    stack - _start, %sp
        movw    $called_bios - _start, %ax
        jmp     to_32
        .code32
called_bios:
        movl    $frame, %esi
        movl    40(%esp), %edi
        movl    $REGISTERS, %ecx
        rep movsl
        popal
        ret

# void bios_linux(uint16_t segment): the kernel's real-mode code (Documentation/arch/x86/boot.rst, "Running the Kernel")
        .globl  bios_linux
bios_linux:
        movl    4(%esp), %ebx
        movw    $kernel - _start, %ax
        jmp     to_16
        .code16
kernel: movw    %bx, %ds
        movw    %bx, %es
        movw    %bx, %fs
        movw    %bx, %gs
        movw    %bx, %ss
        movw    $0xe000, %sp
        addw    $0x20, %bx
        pushw   %bx
        pushw   $0
        lret

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff              # CODE32: flat
        .quad   0x00cf93000000ffff              # DATA32
        .quad   0x00009b070000ffff              # CODE16: the stub's segment
        .quad   0x000093070000ffff              # DATA16
gdtr:   .word   . - gdt - 1
        .long   gdt
stack:  .word   0
        .balign 4
frame:  .fill   REGISTERS, 4
frame_end:

        .section .note.GNU-stack, "", @progbits
