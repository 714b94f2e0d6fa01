/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `hull` share. One verb a file: cmd_<verb>.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

/* The global options. */
struct hull_cli {
	const char *root;
	const char *log;               /* NULL: none */
	enum hull_log_format log_format;
	enum hull_log_level log_level;
	bool debug;
	bool quiet;                    /* errors go to the log only */
	bool systemd_cgroup;           /* cgroupsPath is systemd's */
	int log_fd;                    /* of `log`, or -1 */
	int first_own_fd;              /* lower ones, from 3 on, were there when this process began */
};

/* Exit codes of Hull itself. A container's own code takes their place where there is one. */
enum {
	HULL_EXIT_OK = 0,
	HULL_EXIT_FAILURE = 1,
	HULL_EXIT_USAGE = 2,
	HULL_EXIT_CANNOT_EXEC = 126,
	HULL_EXIT_NOT_FOUND = 127,
};

/*
 * A verb. Returns the process' exit code; with `err` set the caller prints the message to stderr and to --log. argv[0] is the verb.
 */
typedef int (*hull_verb_fn)(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);

/* ---- options.c */

enum hull_option_kind { HULL_OPTION_FLAG, HULL_OPTION_STRING, HULL_OPTION_LIST, HULL_OPTION_NUMBER };

struct hull_option {
	const char *name;
	char letter;                   /* 0: none */
	enum hull_option_kind kind;
	void *value;                   /* bool *, const char **, struct hull_strv *, int64_t * */
	const char *arg;               /* what the argument is called in --help; NULL for flags */
	const char *help;
};

struct hull_usage {
	const char *verb;
	const char *args;              /* "CONTAINER [SIGNAL]" */
	const char *about;
	int min_args, max_args;        /* -1: any number */
};

/*
 * Parses options in front of the arguments (what follows the first argument belongs to the container). `options` ends with a NULL
 * name. Returns 0 with *ret_first = index of the first argument, 1 when --help was printed, or -EINVAL with err set.
 * Both -x and -long are understood, as engines written in Go use them.
 */
int hull_options_parse(const struct hull_usage *usage, const struct hull_option *options, int argc, char **argv,
		       int *ret_first, struct hull_error *err);

/* Prints options in columns to stdout. */
void hull_options_print(const struct hull_option *options);

/* ---- errors */

/* Prints "hull: message"-style errors for people to stderr, and a line to --log. */
void hull_cli_report(const struct hull_cli *cli, const char *message);

/* The exit code for an error of create, run or exec: 127 and 126 for a program that is not there or may not run. */
int hull_cli_exit_code(const struct hull_error *err);

/* ---- the verbs */

/* Each is a hull_verb_fn. */
int hull_cmd_check(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_checkpoint(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_create(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_delete(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_env(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_events(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_exec(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_features(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_kill(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_list(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_network(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_pause(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_pod(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_ps(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_restore(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_resume(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_run(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_spec(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_start(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_state(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_try(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_update(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_version(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
