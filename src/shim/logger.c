/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/logger.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoded, a plus being a space. Source: RFC 3986, 2.1; the form encoding of HTML. */
static char *decode(const char *text, size_t n, bool plus)
{
	char *out = hull_new(char, n + 1), *p = out;
	for (size_t i = 0; i < n; i++) {
		int high = text[i] == '%' && i + 2 < n ? hex_digit(text[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
		if (low >= 0) {
			*p++ = (char)(high * 16 + low);
			i += 2;
		} else {
			*p++ = plus && text[i] == '+' ? ' ' : text[i];
		}
	}
	return out;
}

static void add_decoded(struct hull_strv *argv, const char *text, size_t n, bool plus)
{
	_cleanup_free_ char *word = decode(text, n, plus);
	hull_strv_add(argv, word);
}

int shim_logger_parse(const char *uri, struct hull_strv *argv, struct hull_error *err)
{
	static const char scheme[] = "binary://";
	if (strncmp(uri, scheme, strlen(scheme)) != 0 || uri[strlen(scheme)] != '/')
		return hull_error_set(err, EINVAL, "\"%.128s\": expected binary:///PATH", uri);
	const char *path = uri + strlen(scheme), *query = strchr(path, '?');
	add_decoded(argv, path, query ? (size_t)(query - path) : strlen(path), false);
	for (const char *p = query ? query + 1 : NULL; p && *p;) {
		size_t n = strcspn(p, "&"), key = strcspn(p, "=&");
		add_decoded(argv, p, key, true);
		if (key < n)
			add_decoded(argv, p + key + 1, n - key - 1, true);
		p += n + (p[n] == '&');
	}
	return 0;
}

static void on_end(void *data, const char *message)
{
	(void)data;
	if (message)
		hull_log_warning("the logging program: %s", message);
}

static int run(uv_loop_t *loop, const struct shim_host *host, char *const *argv, const char *id, const char *namespace, const int out[2],
	       const int errors[2], struct hull_error *err)
{
	_cleanup_close_ int ready = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct hull_strv env = { 0 };
	for (char **e = environ; *e; e++)
		hull_strv_add(&env, *e);
	hull_strv_addf(&env, "CONTAINER_ID=%s", id);
	hull_strv_addf(&env, "CONTAINER_NAMESPACE=%s", namespace);
	const struct shim_child_spec spec = {
		.path = argv[0], .argv = argv, .env = env.v, .stdio = { -1, -1, -1 }, .keep_fds = { out[0], errors[0], ready },
	};
	struct shim_child *child = shim_child_program(loop, host, &spec, on_end, NULL, err);
	hull_strv_clear(&env);
	return child ? 0 : -err->code;
}

int shim_logger_start(uv_loop_t *loop, const struct shim_host *host, const char *uri, const char *id, const char *namespace,
		      int *ret_out, int *ret_err, struct hull_error *err)
{
	int out[2] = { -1, -1 }, errors[2] = { -1, -1 };
	struct hull_strv argv = { 0 };
	int r = shim_logger_parse(uri, &argv, err);
	if (r == 0 && (pipe2(out, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0))
		r = hull_error_errno(err, errno, "make a pipe");
	if (r == 0)
		r = run(loop, host, argv.v, id, namespace, out, errors, err);
	hull_closep(&out[0]);
	hull_closep(&errors[0]);
	if (r == 0) {
		*ret_out = TAKE_FD(out[1]);
		*ret_err = TAKE_FD(errors[1]);
	}
	hull_closep(&out[1]);
	hull_closep(&errors[1]);
	hull_strv_clear(&argv);
	return r;
}
