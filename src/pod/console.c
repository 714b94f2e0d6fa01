/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/console.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

/* A serial port says one byte at a time. */
static void log_line(struct hull_console *console, char c)
{
	if (c >= 0x20 && c < 0x7f)
		console->line[console->line_length++] = c;
	if (console->line_length == HULL_CONSOLE_LINE_MAX || (c == '\n' && console->line_length > 0)) {
		hull_log_debug("console: %.*s", (int)console->line_length, console->line);
		console->line_length = 0;
	}
}

void hull_console_add(struct hull_console *console, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		console->bytes[console->at] = (char)bytes[i];
		console->at = (console->at + 1) % HULL_CONSOLE_KEEP_BYTES;
		console->full = console->full || console->at == 0;
		log_line(console, (char)bytes[i]);
	}
}

/* In order, printable, without the empty lines at the end. `text` has room for all and a NUL. */
static void console_text(const struct hull_console *console, char text[HULL_CONSOLE_KEEP_BYTES + 1])
{
	size_t len = console->full ? HULL_CONSOLE_KEEP_BYTES : console->at;
	size_t start = console->full ? console->at : 0, n = 0;
	for (size_t i = 0; i < len; i++) {
		char c = console->bytes[(start + i) % HULL_CONSOLE_KEEP_BYTES];
		if (c == '\n' || (c >= 0x20 && c < 0x7f))
			text[n++] = c;
	}
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	text[n] = '\0';
}

/* The first of the marks that is there, with what follows it on its line; NULL: none. */
static const char *find_first(const char *text, const char *const marks[], size_t n)
{
	const char *first = NULL;
	for (size_t i = 0; i < n; i++) {
		const char *at = strstr(text, marks[i]);
		if (at && (!first || at < first))
			first = at;
	}
	return first;
}

static size_t append_line(char *out, size_t room, size_t used, const char *line)
{
	if (!line || used >= room)
		return used;
	int n = snprintf(out + used, room - used, "%s%.*s", used ? "; " : "", (int)strcspn(line, "\n"), line);
	return n < 0 ? used : used + (size_t)n;
}

void hull_console_last_words(const struct hull_console *console, char *out, size_t room)
{
	/* Source: arch/x86/mm/fault.c, arch/x86/kernel/traps.c and dumpstack.c of Linux 6.1. */
	static const char *const oopses[] = { "BUG: ", "kernel BUG at ", "general protection fault", "invalid opcode", "divide error",
					      "stack segment", "double fault", "Oops" };
	static const char *const places[] = { "RIP: " };
	static const char *const panics[] = { "Kernel panic" };
	char text[HULL_CONSOLE_KEEP_BYTES + 1];
	console_text(console, text);
	out[0] = '\0';
	const char *oops = find_first(text, oopses, HULL_ARRAY_SIZE(oopses));
	size_t used = append_line(out, room, 0, oops);
	if (oops)
		used = append_line(out, room, used, find_first(oops, places, HULL_ARRAY_SIZE(places)));
	used = append_line(out, room, used, find_first(text, panics, HULL_ARRAY_SIZE(panics)));
	if (used == 0) {
		const char *newline = strrchr(text, '\n');
		append_line(out, room, 0, newline ? newline + 1 : text);
	}
}

void hull_console_log(const struct hull_console *console)
{
	char text[HULL_CONSOLE_KEEP_BYTES + 1], *rest = text, *line;
	console_text(console, text);
	while ((line = strsep(&rest, "\n")))
		hull_log_error("the guest's console: %s", line);
}
