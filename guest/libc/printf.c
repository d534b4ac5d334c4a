/* printf.c - formatted output, one write() for each call. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct out { char *to; size_t room, length; };

static void put(struct out *o, char c)
{
	if (o->length + 1 < o->room)
		o->to[o->length] = c;
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
	for (; *f == 'l' || *f == 'h' || *f == 'z' || *f == 'j'; f++)
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

int vsnprintf(char *to, size_t n, const char *f, va_list arguments)
{
	struct out o = { to, n, 0 };
	va_list a;

	va_copy(a, arguments);
	for (; *f; f++) {
		struct spec s = { 0 };
		int64_t v;
		char c;
		const char *text;

		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse(f + 1, &s, &a);
		switch (*f) {
		case 'd': case 'i':
			v = take(&s, 1, &a);
			number(&o, &s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, 0, v < 0 ? "-" : s.plus ? "+" : s.space ? " " : "");
			break;
		case 'u': number(&o, &s, take(&s, 0, &a), 10, 0, ""); break;
		case 'o': number(&o, &s, take(&s, 0, &a), 8, 0, s.alternate ? "0" : ""); break;
		case 'x': case 'X':
			v = take(&s, 0, &a);
			number(&o, &s, v, 16, *f == 'X', s.alternate && v ? *f == 'X' ? "0X" : "0x" : "");
			break;
		case 'p': number(&o, &s, va_arg(a, uint32_t), 16, 0, "0x"); break;
		case 'c':
			c = (char)va_arg(a, int);
			field(&o, &s, "", 0, &c, 1);
			break;
		case 's':
			text = va_arg(a, const char *);
			text = text ? text : "(null)";
			field(&o, &s, "", 0, text, (int)strnlen(text, s.precision < 0 ? (size_t)-1 : (size_t)s.precision));
			break;
		case 0: f--; break;
		default: put(&o, *f);
		}
	}
	va_end(a);
	if (n)
		to[o.length < n ? o.length : n - 1] = 0;
	return (int)o.length;
}

int snprintf(char *to, size_t n, const char *format, ...)
{
	va_list a;

	va_start(a, format);
	int length = vsnprintf(to, n, format, a);
	va_end(a);
	return length;
}

int vprintf(const char *format, va_list a)
{
	char line[512];
	int length = vsnprintf(line, sizeof line, format, a);

	write(1, line, length < (int)sizeof line ? length : (int)sizeof line - 1);
	return length;
}

int printf(const char *format, ...)
{
	va_list a;

	va_start(a, format);
	int length = vprintf(format, a);
	va_end(a);
	return length;
}

int puts(const char *s) { return printf("%s\n", s); }

int putchar(int c)
{
	char byte = (char)c;

	write(1, &byte, 1);
	return (unsigned char)c;
}
