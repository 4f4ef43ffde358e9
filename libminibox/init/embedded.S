// SPDX-License-Identifier: Apache-2.0
// MINIBOX_INIT_FILE is defined by the build.
    .section .rodata
    .balign 16
    .globl minibox_init_begin
    .hidden minibox_init_begin
    .globl minibox_init_end
    .hidden minibox_init_end
minibox_init_begin:
    .incbin MINIBOX_INIT_FILE
minibox_init_end:
    .section .note.GNU-stack,"",%progbits
