/* start.h - the beginning and the end of a program. */
#ifndef START_H
#define START_H

typedef void (*function_t)(void);
extern function_t __init_array_start[], __init_array_end[], __fini_array_start[], __fini_array_end[];     /* program.ld */
void __flush_all(void);
void __choose_entry(void);
#endif
