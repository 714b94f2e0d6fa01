/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of /proc/PID/mountinfo. Source: proc_pid_mountinfo(5). */
#pragma once

#include <stdbool.h>

/* Parts of the line that was parsed. */
struct hull_mountinfo {
	char *device;                  /* "8:1"; major 0 is no disk */
	char *root, *point;            /* unescaped */
	char *type, *source;           /* source: unescaped */
	char *options;                 /* of the file system, still escaped: they are a list */
};

/* Cuts up one line, which must not have a newline; false when it is none. */
bool hull_mountinfo_parse(char *line, struct hull_mountinfo *ret);

/* Resolves the octal escapes of spaces and the like in place. */
void hull_mountinfo_unescape(char *text);
