/*
 * stdio.c - streams over descriptors 0, 1 and 2.
 *
 * stdout is line buffered: each thread holds its own line until it is complete, full, or flushed, so that lines of
 * several threads do not mix. In the sandbox nothing is held: there each call writes what it has made.
 * stdin is not buffered: a descriptor is shared with other processes and with extensions, whose bytes it would take.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "context.h"
#include "start.h"
#include "stream.h"

static FILE streams[3] = { { .fd = 0 }, { .fd = 1, .line = LINE_ROOM > 0 }, { .fd = 2 } };
FILE *const stdin = &streams[0], *const stdout = &streams[1], *const stderr = &streams[2];

static int write_all(FILE *f, const char *from, size_t n)
{
	while (n) {
		ssize_t done = write(f->fd, from, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			f->failed = 1;
			return -1;
		}
		from += done;
		n -= done;
	}
	return 0;
}

static int flush_line(struct context *c)
{
	unsigned n = c->held;

	c->held = 0;
	return write_all(stdout, c->line, n);
}

static int hold(const char *from, size_t n)
{
	struct context *c = __context();

	for (; n; n--, from++) {
		c->line[c->held++] = *from;
		if ((*from == '\n' || c->held == LINE_ROOM) && flush_line(c))
			return -1;
	}
	return 0;
}

int fflush(FILE *f) { return f && !f->line ? 0 : flush_line(__context()); }

static void flush_held(struct context *c)
{
	if (c->held)
		flush_line(c);
}

#if LINE_ROOM
void __flush_all(void) { __context_each(flush_held); }
#endif

size_t fwrite(const void *from, size_t size, size_t n, FILE *f)
{
	return (f->line ? hold(from, size * n) : write_all(f, from, size * n)) ? 0 : n;
}

int fputs(const char *s, FILE *f) { return fwrite(s, 1, strlen(s), f) == strlen(s) ? 0 : EOF; }

int puts(const char *s) { return printf("%s\n", s) < 0 ? EOF : 0; }

int fputc(int c, FILE *f)
{
	char byte = (char)c;

	return fwrite(&byte, 1, 1, f) == 1 ? (unsigned char)c : EOF;
}

int putc(int c, FILE *f) { return fputc(c, f); }
int putchar(int c) { return fputc(c, stdout); }

int fgetc(FILE *f)
{
	unsigned char byte;
	ssize_t n;

	if (f->pushed) {
		byte = f->pushed - 1;
		f->pushed = 0;
		return byte;
	}
	if (LINE_ROOM && f == stdin)
		flush_held(__context());         /* a question is seen before it is answered */
	while ((n = read(f->fd, &byte, 1)) < 0 && errno == EINTR)
		;
	if (n == 1)
		return byte;
	*(n ? &f->failed : &f->at_end) = 1;
	return EOF;
}

int getc(FILE *f) { return fgetc(f); }
int getchar(void) { return fgetc(stdin); }

int ungetc(int c, FILE *f)
{
	if (c == EOF || f->pushed)
		return EOF;
	f->pushed = (unsigned char)c + 1;
	f->at_end = 0;
	return (unsigned char)c;
}

char *fgets(char *to, int n, FILE *f)
{
	int i = 0, c = 0;

	while (i < n - 1 && c != '\n' && (c = fgetc(f)) != EOF)
		to[i++] = (char)c;
	if (n > 0)
		to[i] = 0;
	return i ? to : 0;
}

size_t fread(void *to, size_t size, size_t n, FILE *f)
{
	size_t i = 0;
	int c;

	while (i < size * n && (c = fgetc(f)) != EOF)
		((char *)to)[i++] = (char)c;
	return size ? i / size : 0;
}

int feof(FILE *f) { return f->at_end; }
int ferror(FILE *f) { return f->failed; }
void clearerr(FILE *f) { f->at_end = f->failed = 0; }
int fileno(FILE *f) { return f->fd; }

void perror(const char *s)
{
	const char *text = strerror(errno);

	if (s && *s)
		fprintf(stderr, "%s: %s\n", s, text);
	else
		fprintf(stderr, "%s\n", text);
}
