/* SPDX-License-Identifier: Apache-2.0 */
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
	*ret = out;
	*ret_used = used;
	return 0;
}
