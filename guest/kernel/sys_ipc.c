/*
 * sys_ipc.c - System V shared memory: shmget, shmat, shmdt, shmctl through SYS_ipc, as Linux on the i386.
 *
 * An extension attaches only segments that lie in the protected area: those it made itself and those made with
 * SHM_SANDBOX. Its creator attaches them as any other.
 */
#include "shm.h"

static bool allowed(const struct shm *s, bool write)
{
	u32 uid = process()->uid, mode = uid == s->uid ? s->mode >> 6 : s->mode;
	return uid == 0 || (mode & (write ? 6 : 4)) == (write ? 6 : 4);
}

static struct shm *by_id(u32 id)
{
	struct shm *s = 0;
	while ((s = shm_next(s)) && (s->id != id || s->name[0]))
		;
	return s;
}

static struct shm *by_key(u32 key)
{
	struct shm *s = 0;
	while ((s = shm_next(s)) && (s->key != key || s->name[0] || s->destroyed))
		;
	return s;
}

static s32 get(u32 key, u32 size, u32 flags)
{
	struct shm *s = key == IPC_PRIVATE ? 0 : by_key(key);
	s32 error;
	if (s)
		return (flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL) ? -EEXIST : size > s->size ? -EINVAL :
		       !allowed(s, flags & 0222) ? -EACCES : (s32)s->id;
	if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		return -ENOENT;
	if (size == 0 || size > SHM_MAX_PAGES * PAGE_SIZE)
		return -EINVAL;
	s = shm_create(size, current->ext || (flags & SHM_SANDBOX), &error);
	if (!s)
		return error;
	s->key = key;
	s->mode = flags & 0777;
	s->uid = process()->uid;
	s->creator = process()->pid;
	return (s32)s->id;
}

static s32 extension_attach(struct shm *s, u32 wanted)
{
	struct mm *mm = process()->mm;
	u32 i = (u32)(current->ext - extension), length = s->pages << PAGE_SHIFT;
	if (!s->sandbox || (wanted && wanted != s->sandbox))
		return -EINVAL;
	if (!mm_allows(mm, length) || s->by_extension[i] == 255)
		return -ENOMEM;
	mm->elsewhere += length;
	s->by_extension[i]++;
	shm_hold(s);
	return (s32)s->sandbox;
}

static s32 attach(u32 id, u32 flags, u32 result_at, u32 wanted)
{
	struct shm *s = by_id(id);
	bool writable = !(flags & SHM_RDONLY);
	if (!s || (wanted & (PAGE_SIZE - 1)))
		return -EINVAL;
	if (!allowed(s, writable))
		return -EACCES;
	s32 at = current->ext ? extension_attach(s, wanted) : shm_attach(current->mm, s, wanted, writable);
	if (at < 0 && at >= -4095)
		return at;
	s->last = process()->pid;
	return copy_to_user(result_at, &at, sizeof(at));
}

static void extension_detach(struct extension *x, struct shm *s)
{
	struct task *leader = x->owner ? x->owner->leader : 0;
	if (leader && leader->mm)
		leader->mm->elsewhere -= s->pages << PAGE_SHIFT;
	s->by_extension[x - extension]--;
	shm_drop(s);
}

void shm_abandon(struct extension *x)
{
	for (struct shm *s = shm_next(0); s; s = shm_next(s))
		while (s->pages && s->by_extension[x - extension])
			extension_detach(x, s);
}

static s32 detach(u32 address)
{
	if (current->ext) {
		struct shm *s = 0;
		while ((s = shm_next(s)) && (s->sandbox != address || !s->by_extension[current->ext - extension]))
			;
		if (!s)
			return -EINVAL;
		s->last = process()->pid;
		extension_detach(current->ext, s);
		return 0;
	}
	struct vma *v = mm_find(current->mm, address);
	if (!v || v->start != address || !v->shm || v->shm->name[0])
		return -EINVAL;
	v->shm->last = process()->pid;
	return mm_remove(current->mm, v->start, v->end);
}

static s32 control(u32 id, u32 command, u32 at)
{
	struct shm *s = by_id(id);
	u32 uid = process()->uid;
	if (!s)
		return -EINVAL;
	if (command == IPC_STAT) {
		struct abi_shmid_ds out = { s->key, s->uid, s->mode, s->size, s->creator, s->last, s->attached };
		return allowed(s, false) ? copy_to_user(at, &out, sizeof(out)) : -EACCES;
	}
	if (command != IPC_RMID)
		return -EINVAL;
	if (uid != 0 && uid != s->uid)
		return -EPERM;
	shm_destroy(s);
	return 0;
}

s32 sys_ipc(u32 call, u32 first, u32 second, u32 third, u32 pointer);
s32 sys_ipc(u32 call, u32 first, u32 second, u32 third, u32 pointer)
{
	switch (call) {
	case IPC_SHMAT:  return attach(first, second, third, pointer);
	case IPC_SHMDT:  return detach(pointer);
	case IPC_SHMGET: return get(first, second, third);
	case IPC_SHMCTL: return control(first, second, pointer);
	}
	return -ENOSYS;
}
