/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "pod/pod.h"

int hull_stdio_fds_sort(const Hull__Pod__V1__Stdio *how, const int *fds, size_t n, struct hull_stdio_fds *ret,
			int *ret_standin, size_t *ret_used)
{
	struct hull_stdio_fds out = HULL_STDIO_FDS_NONE;
	size_t used = 0;
	const struct {
		bool wanted;
		int *place;
	} places[] = {
		{ how && how->has_stdin, &out.in },
		{ how && how->has_stdout, &out.out },
		{ how && how->has_stderr, &out.err },
		{ how && how->has_terminal, &out.terminal },
		{ !how || !how->no_standin, ret_standin },
	};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (!places[i].wanted)
			continue;
		if (used == n)
			return -EBADMSG;
		*places[i].place = fds[used++];
	}
	if (how && how->n_preserved > n - used)
		return -EBADMSG;
	*ret = out;
	*ret_used = used;
	return 0;
}

void hull_process_preserve(struct hull_process *p, const Hull__Pod__V1__Stdio *how, const int *fds)
{
	p->n_preserved = how ? how->n_preserved : 0;
	p->preserved = hull_new(struct hull_preserved, p->n_preserved);
	for (size_t i = 0; i < p->n_preserved; i++) {
		struct hull_preserved_fd *to = &p->preserved[i].fd;
		const Hull__Agent__V1__Preserved *m = how->preserved[i];
		struct stat st;
		*to = (struct hull_preserved_fd){ .fds = HULL_STDIO_FDS_NONE };
		to->half_close = fstat(fds[i], &st) == 0 && S_ISSOCK(st.st_mode);
		if (m->readable)
			to->fds.in = m->writable ? fcntl(fds[i], F_DUPFD_CLOEXEC, 3) : fds[i];
		if (m->writable)
			to->fds.out = fds[i];
		if (!m->readable && !m->writable)
			close(fds[i]);
	}
}

Hull__Agent__V1__Preserved **hull_process_preserved_message(const struct hull_process *p, Hull__Agent__V1__Preserved **ret_memory)
{
	Hull__Agent__V1__Preserved *m = hull_new(Hull__Agent__V1__Preserved, p->n_preserved);
	Hull__Agent__V1__Preserved **pointers = hull_new(Hull__Agent__V1__Preserved *, p->n_preserved);
	for (size_t i = 0; i < p->n_preserved; i++) {
		hull__agent__v1__preserved__init(&m[i]);
		m[i].readable = p->preserved[i].fd.fds.in >= 0;
		m[i].writable = p->preserved[i].fd.fds.out >= 0;
		pointers[i] = &m[i];
	}
	*ret_memory = m;
	return pointers;
}
