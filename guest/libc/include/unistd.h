#ifndef UNISTD_H
#define UNISTD_H
#include <sys/types.h>

#define STDIN_FILENO  0
#define STDOUT_FILENO 1
#define STDERR_FILENO 2

void _exit(int status) __attribute__((noreturn));
ssize_t read(int fd, void *buffer, size_t n);
ssize_t write(int fd, const void *buffer, size_t n);
int close(int fd);
int dup(int fd);
int dup2(int fd, int to);
int pipe(int fd[2]);
int fork(void);
int getpid(void);
int getppid(void);
int gettid(void);
int getuid(void);
int setuid(int uid);
int pause(void);
int brk(void *end);
void *sbrk(long increment);
unsigned sleep(unsigned seconds);
int usleep(unsigned microseconds);
#endif
