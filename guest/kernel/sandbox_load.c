/*
 * sandbox_load.c - the sandbox image: what it may hold, who answers for it, loading and unloading extensions.
 *
 *   boot module (ELF32, linked by the host: loader/sandbox.py)      the two areas
 *
 *   PT_LOAD  struct uls_header with the table of extensions  --+
 *   PT_LOAD  runtime, libc                                   --+--> once, when the machine starts
 *   PT_LOAD  text and constants of extension i               --+--> public area     \  at the start and by
 *   PT_LOAD  data and bss of extension i                     --+--> protected area  /  SYS_uls_load, the same way
 *
 * W^X: a segment of the public area is never writable, one of the protected area never executable. (The processors
 * have no NX bit; what the rule gives is that nothing linked as code can be changed and that no code is linked where
 * it could be.)
 *
 * Authorisation. The command line decides, since whoever starts the kernel gives it (`uls_key=`, `uls_trust=`). With a
 * key the image's own seal must verify under it, and each extension must carry a seal that does, or be named by
 * uls_trust. With neither nothing is asked. The seal is checked before a byte is copied, each time an extension is
 * loaded. What it proves is in loader/sandbox_seal.py.
 */
#include "elf.h"
#include "uls.h"

#define MAX_SEGMENTS 64
#define AREAS_END    (ULS_PROTECTED_BASE + ULS_AREA_SIZE)

static const char *file;                     /* the module */
static const struct elf_program *segment;
static u32 segment_count;
static const struct uls_header *header;      /* in the module, where nobody writes */
static char *areas;                          /* both, in the direct map */

static bool public_address(u32 a) { return a >= ULS_PUBLIC_BASE && a < ULS_PROTECTED_BASE; }
static void *area(u32 address) { return areas + (address - ULS_PUBLIC_BASE); }

static bool valid_segment(const struct elf_program *p)
{
	u32 end = p->vaddr + p->memsz;           /* does not wrap: elf_segments() */
	if (public_address(p->vaddr))
		return end <= ULS_PROTECTED_BASE && !(p->flags & PF_WRITE);
	return p->vaddr >= ULS_PROTECTED_BASE && end <= AREAS_END && !(p->flags & PF_EXEC);
}

static bool within(const struct elf_program *p, u32 start, u32 size)
{
	return p->vaddr >= start && p->vaddr - start < size;
}

/* The extension a segment belongs to, or -1. */
static s32 owner_of(const struct elf_program *p)
{
	for (u32 i = 0; i < header->count; i++) {
		const struct uls_entry *e = &header->ext[i];
		if (within(p, e->text, e->text_size) || within(p, e->data, e->data_size))
			return (s32)i;
	}
	return -1;
}

static bool ends_within(u32 start, u32 size, u32 low, u32 high)
{
	return !size || (start >= low && start < high && size <= high - start);
}

static bool disjoint(u32 a, u32 a_size, u32 b, u32 b_size)
{
	return !a_size || !b_size || a + a_size <= b || b + b_size <= a;
}

static bool valid_entry(u32 i)
{
	const struct uls_entry *e = &header->ext[i];
	if (e->name[ULS_NAME_LEN - 1] || !e->name[0] || !public_address(e->entry) || (e->init && !public_address(e->init)) ||
	    !ends_within(e->text, e->text_size, ULS_PUBLIC_BASE + 1, ULS_PROTECTED_BASE) ||
	    !ends_within(e->data, e->data_size, ULS_PROTECTED_BASE, AREAS_END) || e->needs >> header->count)
		return false;
	for (u32 j = 0; j < i; j++) {
		const struct uls_entry *other = &header->ext[j];
		if (!disjoint(e->text, e->text_size, other->text, other->text_size) ||
		    !disjoint(e->data, e->data_size, other->data, other->data_size) || !strcmp(e->name, other->name))
			return false;
	}
	return true;
}

/* A segment of an extension ends where the extension's part ends, or before. */
static bool contained(const struct elf_program *p, const struct uls_entry *e)
{
	u32 end = p->vaddr + p->memsz;
	return public_address(p->vaddr) ? end <= e->text + e->text_size : end <= e->data + e->data_size;
}

static bool read_image(const struct module *m)
{
	u32 entry;
	file = direct(m->start);
	segment = elf_segments(file, m->end - m->start, &segment_count, &entry);
	if (!segment || segment_count < 1 || segment_count > MAX_SEGMENTS)
		return false;
	for (u32 i = 0; i < segment_count; i++)
		if (segment[i].type != PT_LOAD || !valid_segment(&segment[i]))
			return false;
	const struct elf_program *p = &segment[0];
	header = (const void *)(file + p->offset);
	if (p->vaddr != ULS_PUBLIC_BASE || p->filesz < sizeof(*header) || p->offset % 4 || header->magic != ULS_MAGIC ||
	    header->version != ULS_VERSION || header->count > ULS_MAX_EXT ||
	    p->filesz != sizeof(*header) + header->count * sizeof(header->ext[0]))
		return false;
	for (u32 i = 0; i < header->count; i++)
		if (!valid_entry(i))
			return false;
	for (u32 i = 0; i < segment_count; i++) {
		s32 owner = owner_of(&segment[i]);
		if (owner >= 0 && (i == 0 || !contained(&segment[i], &header->ext[owner])))
			return false;
	}
	return true;
}

/* The segments of extension `owner` (-1: of none, without the header's) as pieces of a message. */
static u32 add_segments(struct piece *piece, u32 n, s32 owner)
{
	static u32 description[MAX_SEGMENTS][4];
	for (u32 i = 1; i < segment_count; i++) {
		const struct elf_program *p = &segment[i];
		if (owner_of(p) != owner)
			continue;
		u32 *d = description[i];
		d[0] = p->vaddr;
		d[1] = p->filesz;
		d[2] = p->memsz;
		d[3] = p->flags;
		piece[n++] = (struct piece){ d, sizeof(description[0]) };
		piece[n++] = (struct piece){ file + p->offset, p->filesz };
	}
	return n;
}

static bool image_sealed(void)
{
	static struct piece piece[3 + 2 * MAX_SEGMENTS];
	piece[0] = (struct piece){ "uls base", 8 };
	piece[1] = (struct piece){ header, offsetof(struct uls_header, seal) };
	piece[2] = (struct piece){ header->ext, header->count * sizeof(header->ext[0]) };
	return ed25519_verify(options.key, header->seal, piece, add_segments(piece, 3, -1));
}

static bool extension_sealed(u32 i)
{
	static struct piece piece[2 + 2 * MAX_SEGMENTS];
	const struct uls_entry *e = &header->ext[i];
	piece[0] = (struct piece){ "uls ext", 8 };
	piece[1] = (struct piece){ e, offsetof(struct uls_entry, seal) };
	return ed25519_verify(options.key, e->seal, piece, add_segments(piece, 2, (s32)i));
}

static bool named(const char *list, const char *name)
{
	u32 n = strlen(name);
	for (const char *s = list; s && *s;) {
		if (!strncmp(s, name, n) && (s[n] == ',' || !s[n]))
			return true;
		while (*s && *s++ != ',')
			;
	}
	return false;
}

/* Sets x->authorisation; -EACCES if nobody answers for the extension. */
static s32 authorise(u32 i)
{
	struct extension *x = &extension[i];
	bool trusted = named(options.trust, x->name);
	x->authorisation = ULS_AUTHORISATION_NONE;
	if ((options.sealed || options.trust) && !trusted) {
		if (!options.sealed || header->ext[i].authorisation != ULS_AUTHORISATION_SIGNED || !extension_sealed(i))
			return -EACCES;
		x->authorisation = ULS_AUTHORISATION_SIGNED;
	} else if (trusted) {
		x->authorisation = ULS_AUTHORISATION_TRUSTED;
	}
	return 0;
}

static void clear(u32 i)
{
	const struct uls_entry *e = &header->ext[i];
	memset(area(e->text ? e->text : ULS_PUBLIC_BASE), 0, e->text_size);
	memset(area(e->data ? e->data : ULS_PROTECTED_BASE), 0, e->data_size);
}

static void copy_segments(s32 owner)
{
	for (u32 i = 0; i < segment_count; i++)
		if (owner_of(&segment[i]) == owner) {
			memcpy(area(segment[i].vaddr), file + segment[i].offset, segment[i].filesz);
			memset((char *)area(segment[i].vaddr) + segment[i].filesz, 0, segment[i].memsz - segment[i].filesz);
		}
}

static s32 load(u32 i)
{
	s32 error = authorise(i);
	if (error)
		return error;
	copy_segments((s32)i);
	extension[i].state = extension[i].loaded_state;
	return 0;
}

static const char *const kinds[] = { "not asked for authorisation", "trusted by name", "sealed" };

static bool add_extension(u32 i, u32 *heap)
{
	const struct uls_entry *e = &header->ext[i];
	struct extension *x = &extension[i];
	u32 size = ALIGN_UP(e->stack_size ? e->stack_size : 16384, PAGE_SIZE);
	if (size < e->stack_size || size > AREAS_END - *heap)
		return false;
	copy_string(x->name, e->name, sizeof(x->name));
	x->entry = e->entry;
	x->init = e->init;
	x->needs = e->needs;
	x->stack_base = *heap;
	x->stack_size = size;
	*heap += size;
	x->state = ULS_STATE_UNLOADED;
	x->loaded_state = ULS_STATE_FREE;
	extension_count = i + 1;
	s32 error = load(i);
	printk("extension: %s, entry %08x, stack %08x..%08x, %s\n", x->name, x->entry, x->stack_base, x->stack_base + size,
	       error ? "refused: neither sealed under uls_key nor named by uls_trust" : kinds[x->authorisation]);
	return true;
}

/* When the machine starts: false if the image breaks a rule. */
bool sandbox_load_image(const struct module *m, char *frames, u32 *heap)
{
	areas = frames;
	if (!read_image(m))
		return false;
	if (options.sealed && !image_sealed()) {
		printk("sandbox: the image is not sealed under uls_key\n");
		return false;
	}
	for (u32 i = 0; i < segment_count; i++) {
		u32 end = ALIGN_UP(segment[i].vaddr + segment[i].memsz, PAGE_SIZE);
		if (end > *heap)
			*heap = end;
	}
	copy_segments(-1);
	sandbox_return_stub = options.entry == ULS_ENTRY_SYSEXIT ? header->return_sysenter : header->return_int80;
	if (header->count && !public_address(sandbox_return_stub))
		return false;
	for (u32 i = 0; i < header->count; i++)
		if (!add_extension(i, heap))
			return false;
	return true;
}

/* Loaded, and with it all that it calls. */
bool extension_complete(const struct extension *x)
{
	for (u32 i = 0; i < extension_count; i++)
		if ((x == &extension[i] || x->needs & 1u << i) && extension[i].state == ULS_STATE_UNLOADED)
			return false;
	return true;
}

/* Only uid 0 loads and unloads. */
static s32 find(u32 name_at)
{
	char name[ULS_NAME_LEN];
	if (process()->uid != 0)
		return -EPERM;
	s32 id = string_from_user(name, name_at, sizeof(name));
	return id < 0 ? id : extension_find(name);
}

s32 sys_uls_load(u32 name_at);
s32 sys_uls_load(u32 name_at)
{
	s32 id = find(name_at);
	if (id < 0)
		return id;
	return extension[id].state == ULS_STATE_UNLOADED ? load((u32)id) : -EEXIST;
}

s32 sys_uls_unload(u32 name_at);
s32 sys_uls_unload(u32 name_at)
{
	s32 id = find(name_at);
	if (id < 0)
		return id;
	struct extension *x = &extension[id];
	if (x->state == ULS_STATE_UNLOADED)
		return -ENOENT;
	if (x->owner || x->state == ULS_STATE_BLOCKED || x->state == ULS_STATE_RUNNING)
		return -EBUSY;
	for (u32 i = 0; i < extension_count; i++)
		if (extension[i].state != ULS_STATE_UNLOADED && extension[i].needs & 1u << id && (s32)i != id)
			return -EBUSY;
	x->loaded_state = x->state;
	x->state = ULS_STATE_UNLOADED;
	x->authorisation = ULS_AUTHORISATION_NONE;
	clear((u32)id);
	memset(area(x->stack_base), 0, x->stack_size);
	return 0;
}
