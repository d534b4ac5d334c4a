#ifndef SYS_SHM_H
#define SYS_SHM_H
#include <stddef.h>
#include <sys/ipc.h>

#define shmid_ds abi_shmid_ds
int shmget(key_t key, size_t size, int flags);
void *shmat(int id, const void *address, int flags);     /* (void *)-1 and errno */
int shmdt(const void *address);
int shmctl(int id, int command, struct shmid_ds *out);
#endif
