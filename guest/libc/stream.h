/* stream.h - what a FILE is. */
#ifndef STREAM_H
#define STREAM_H
#include <stdio.h>

struct stream { int fd, line, at_end, failed, pushed; };     /* line: stdout's is held; pushed: ungetc's byte + 1 */
#endif
