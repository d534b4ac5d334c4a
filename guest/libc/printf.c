/* printf.c - formatted output, to memory or to a stream. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "stream.h"

/* With a stream, `to` is a buffer that is written whenever it is full. */
struct out { char *to; size_t room, held, length; FILE *stream; };

static void put(struct out *o, char c)
{
	if (o->stream && o->held == o->room) {
		fwrite(o->to, 1, o->held, o->stream);
		o->held = 0;
	}
	if (o->held < o->room)
		o->to[o->held++] = c;
	o->length++;
}

static void repeat(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

struct spec { int left, zero, plus, space, alternate, width, precision, size; };

/* prefix | zeros | text, in a field of the wanted width */
static void field(struct out *o, const struct spec *s, const char *prefix, int zeros, const char *text, int n)
{
	int fill = s->width - (int)strlen(prefix) - n - (zeros > 0 ? zeros : 0);

	if (!s->left)
		repeat(o, ' ', fill);
	while (*prefix)
		put(o, *prefix++);
	repeat(o, '0', zeros);
	while (n-- > 0)
		put(o, *text++);
	if (s->left)
		repeat(o, ' ', fill);
}

static void number(struct out *o, struct spec *s, uint64_t value, unsigned base, int upper, const char *prefix)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24], *p = text + sizeof text;
	int n, zeros;

	for (; value; value /= base)
		*--p = digits[value % base];
	n = (int)(text + sizeof text - p);
	zeros = (s->precision >= 0 ? s->precision : 1) - n;
	if (s->zero && !s->left && s->precision < 0 && s->width - (int)strlen(prefix) - n > zeros)
		zeros = s->width - (int)strlen(prefix) - n;
	field(o, s, prefix, zeros, p, n);
}

static int count(const char **f, va_list *a)
{
	int n = 0;

	if (**f == '*') {
		++*f;
		return va_arg(*a, int);
	}
	while (**f >= '0' && **f <= '9')
		n = n * 10 + *(*f)++ - '0';
	return n;
}

static const char *parse(const char *f, struct spec *s, va_list *a)
{
	for (;; f++) {
		if (*f == '-') s->left = 1;
		else if (*f == '0') s->zero = 1;
		else if (*f == '+') s->plus = 1;
		else if (*f == ' ') s->space = 1;
		else if (*f == '#') s->alternate = 1;
		else break;
	}
	s->width = count(&f, a);
	if (s->width < 0) {
		s->left = 1;
		s->width = -s->width;
	}
	s->precision = -1;
	if (*f == '.') {
		f++;
		s->precision = count(&f, a);
	}
	for (; *f == 'l' || *f == 'h' || *f == 'z' || *f == 't' || *f == 'j'; f++)
		s->size += *f == 'l' ? 1 : *f == 'h' ? -1 : *f == 'j' ? 2 : 0;
	return f;
}

static int64_t take(const struct spec *s, int is_signed, va_list *a)
{
	uint64_t v = s->size >= 2 ? va_arg(*a, uint64_t) : va_arg(*a, uint32_t);

	if (s->size >= 2)
		return (int64_t)v;
	if (s->size == -1)
		return is_signed ? (int16_t)v : (uint16_t)v;
	if (s->size <= -2)
		return is_signed ? (int8_t)v : (uint8_t)v;
	return is_signed ? (int64_t)(int32_t)v : (int64_t)v;
}

static void format(struct out *o, const char *f, va_list arguments)
{
	va_list a;

	va_copy(a, arguments);
	for (; *f; f++) {
		struct spec s = { 0 };
		int64_t v;
		char c;
		const char *text;

		if (*f != '%') {
			put(o, *f);
			continue;
		}
		f = parse(f + 1, &s, &a);
		switch (*f) {
		case 'd': case 'i':
			v = take(&s, 1, &a);
			number(o, &s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, 0, v < 0 ? "-" : s.plus ? "+" : s.space ? " " : "");
			break;
		case 'u': number(o, &s, take(&s, 0, &a), 10, 0, ""); break;
		case 'o':
			v = take(&s, 0, &a);
			number(o, &s, v, 8, 0, s.alternate && v ? "0" : "");
			break;
		case 'x': case 'X':
			v = take(&s, 0, &a);
			number(o, &s, v, 16, *f == 'X', s.alternate && v ? *f == 'X' ? "0X" : "0x" : "");
			break;
		case 'p': number(o, &s, va_arg(a, uint32_t), 16, 0, "0x"); break;
		case 'c':
			c = (char)va_arg(a, int);
			field(o, &s, "", 0, &c, 1);
			break;
		case 's':
			text = va_arg(a, const char *);
			text = text ? text : "(null)";
			field(o, &s, "", 0, text, (int)strnlen(text, s.precision < 0 ? (size_t)-1 : (size_t)s.precision));
			break;
		case 0: f--; break;
		default: put(o, *f);
		}
	}
	va_end(a);
}

int vsnprintf(char *to, size_t n, const char *f, va_list a)
{
	struct out o = { .to = to, .room = n ? n - 1 : 0 };

	format(&o, f, a);
	if (n)
		to[o.held] = 0;
	return (int)o.length;
}

int vfprintf(FILE *stream, const char *f, va_list a)
{
	char buffer[256];
	struct out o = { .to = buffer, .room = sizeof buffer, .stream = stream };

	format(&o, f, a);
	fwrite(buffer, 1, o.held, stream);
	return ferror(stream) ? -1 : (int)o.length;
}

int vdprintf(int fd, const char *f, va_list a)
{
	FILE stream = { .fd = fd, .line = 0 };

	return vfprintf(&stream, f, a);
}

int vprintf(const char *f, va_list a) { return vfprintf(stdout, f, a); }
int vsprintf(char *to, const char *f, va_list a) { return vsnprintf(to, 0x7fffffff, f, a); }

#define FORMATTED(call)               \
	va_list a;                    \
	va_start(a, format);          \
	int length = call;            \
	va_end(a);                    \
	return length

int printf(const char *format, ...) { FORMATTED(vfprintf(stdout, format, a)); }
int fprintf(FILE *stream, const char *format, ...) { FORMATTED(vfprintf(stream, format, a)); }
int dprintf(int fd, const char *format, ...) { FORMATTED(vdprintf(fd, format, a)); }
int sprintf(char *to, const char *format, ...) { FORMATTED(vsprintf(to, format, a)); }
int snprintf(char *to, size_t n, const char *format, ...) { FORMATTED(vsnprintf(to, n, format, a)); }
