/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "cli/cli.h"

#define OPTIONS_MAX 32
#define HELP_CODE 1000

/* For "%s%s" before a message: the verb, if these are a verb's options, and not the global ones. */
#define WHERE(usage) (usage)->verb, *(usage)->verb ? ": " : ""

void hull_options_print(const struct hull_option *options)
{
	for (const struct hull_option *o = options; o->name; o++) {
		char left[64];
		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
			 o->letter ? ", " : "  ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		printf("  %-32s %s\n", left, o->help);
	}
}

static void print_help(const struct hull_usage *usage, const struct hull_option *options)
{
	printf("Usage: hull%s%s%s%s%s\n\n%s\n", *usage->verb ? " " : "", usage->verb, options->name ? " [OPTIONS]" : "",
	       *usage->args ? " " : "", usage->args, usage->about);
	if (options->name) {
		printf("\nOptions:\n");
		hull_options_print(options);
	}
}

static int store(const struct hull_option *o, const char *text, const struct hull_usage *usage, struct hull_error *err)
{
	switch (o->kind) {
	case HULL_OPTION_FLAG:
		/* Go's flag package also takes --flag=false. */
		if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return hull_error_set(err, EINVAL, "%s%s--%s: expected true or false, found \"%s\"", WHERE(usage), o->name, text);
		*(bool *)o->value = !text || strcmp(text, "true") == 0;
		return 0;
	case HULL_OPTION_STRING:
		*(const char **)o->value = text;
		return 0;
	case HULL_OPTION_LIST:
		hull_strv_add(o->value, text);
		return 0;
	case HULL_OPTION_NUMBER:
		if (hull_parse_i64(text, 0, INT32_MAX, o->value) < 0)
			return hull_error_set(err, EINVAL, "%s%s--%s: expected a number, found \"%s\"", WHERE(usage), o->name, text);
		return 0;
	}
	return 0;
}

static void to_getopt(const struct hull_option *options, struct option *longs, char *shorts)
{
	size_t n = 0, s = 0;
	shorts[s++] = '+';
	shorts[s++] = ':';
	for (const struct hull_option *o = options; o->name && n < OPTIONS_MAX - 2; o++) {
		longs[n++] = (struct option){ o->name, o->kind == HULL_OPTION_FLAG ? optional_argument : required_argument, NULL,
					      HELP_CODE + 1 + (int)(o - options) };
		if (o->letter) {
			shorts[s++] = o->letter;
			if (o->kind != HULL_OPTION_FLAG)
				shorts[s++] = ':';
		}
	}
	longs[n++] = (struct option){ "help", no_argument, NULL, HELP_CODE };
	longs[n] = (struct option){ NULL, 0, NULL, 0 };
	shorts[s++] = 'h';
	shorts[s] = '\0';
}

static const struct hull_option *find(const struct hull_option *options, int code)
{
	if (code > HELP_CODE)
		return &options[code - HELP_CODE - 1];
	for (const struct hull_option *o = options; o->name; o++)
		if (o->letter == code)
			return o;
	return NULL;
}

int hull_options_parse(const struct hull_usage *usage, const struct hull_option *options, int argc, char **argv,
		       int *ret_first, struct hull_error *err)
{
	struct option longs[OPTIONS_MAX];
	char shorts[3 * OPTIONS_MAX];
	int code;

	to_getopt(options, longs, shorts);
	optind = 0;
	opterr = 0;
	while ((code = getopt_long_only(argc, argv, shorts, longs, NULL)) != -1) {
		const struct hull_option *o = find(options, code);
		if (o) {
			int r = store(o, optarg, usage, err);
			if (r < 0)
				return r;
		} else if (code == HELP_CODE || code == 'h') {
			print_help(usage, options);
			return 1;
		} else {
			const char *given = argv[optind - 1];
			if (code == ':')
				return hull_error_set(err, EINVAL, "%s%soption %s needs an argument", WHERE(usage), given);
			return hull_error_set(err, EINVAL, "%s%sunknown option %s; see `hull%s%s --help`", WHERE(usage), given,
					      *usage->verb ? " " : "", usage->verb);
		}
	}
	int n = argc - optind;
	if (n < usage->min_args || (usage->max_args >= 0 && n > usage->max_args))
		return hull_error_set(err, EINVAL, "%s%s%s arguments; usage: hull %s%s%s", WHERE(usage),
				      n < usage->min_args ? "too few" : "too many", usage->verb, *usage->args ? " " : "", usage->args);
	*ret_first = optind;
	return 0;
}
