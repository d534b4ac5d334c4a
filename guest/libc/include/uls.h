/* uls.h - User-Level Sandboxing for programs; structures and constants are in ringtoll/abi.h. */
#ifndef ULS_H
#define ULS_H
#include <ringtoll/abi.h>
#include <stddef.h>

int uls_register(const char *name);
int uls_unregister(int id);
int uls_lookup(const char *name);
int uls_bind(int id, int source, abi_u32 a);                      /* TIMER, UART, EXIT */
int uls_bind_to(int id, int source, abi_u32 a, abi_u32 b);        /* FD, RESOURCE */
int uls_unbind(int id, int source, abi_u32 a);
int uls_raise(int id, int priority, abi_u32 value);
int uls_control(int id, int what, abi_u32 value);
int uls_load(const char *name);
int uls_unload(const char *name);
int uls_revoke(int id);
int uls_ioperm(int id, int port, int count, int on);
int uls_post(int id, abi_u32 value);
int uls_info(int id, struct uls_info *info);
int uls_bench(int op, int id, int n, struct uls_stamp *stamps);
void *uls_shm(const char *name, size_t length);
int uls_sysinfo(struct uls_sysinfo *info);
int uls_pstat(int pid, struct uls_pstat *stat);
int uls_timeslice(int pid, int ticks);
#endif
