/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pod/network.h"

/* Source: Kubernetes' bandwidth annotations: between 1k and 1P bits per second. */
#define LEAST_BPS UINT64_C(1000)
#define MOST_BPS UINT64_C(1000000000000000)

static const struct { const char *suffix; uint64_t factor; } suffixes[] = {
	{ "", 1 }, { "k", 1000 }, { "M", 1000000 }, { "G", 1000000000 }, { "T", UINT64_C(1000000000000) },
	{ "P", UINT64_C(1000000000000000) }, { "Ki", 1 << 10 }, { "Mi", 1 << 20 }, { "Gi", 1 << 30 }, { "Ti", UINT64_C(1) << 40 },
};

int hull_bandwidth_parse(const char *text, uint64_t *ret_bps)
{
	char *end = NULL;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	double number = strtod(text, &end);
	if (errno || strspn(text, "0123456789.") != (size_t)(end - text))
		return -EINVAL;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(suffixes); i++) {
		if (strcmp(end, suffixes[i].suffix) != 0)
			continue;
		double bps = number * (double)suffixes[i].factor;
		if (bps < (double)LEAST_BPS || bps > (double)MOST_BPS)
			return -ERANGE;
		*ret_bps = (uint64_t)bps;
		return 0;
	}
	return -EINVAL;
}

static int read_annotation(const struct hull_oci_spec *spec, const char *key, uint64_t *ret, struct hull_error *err)
{
	const char *text = hull_oci_annotation(spec, key);
	if (!text || hull_bandwidth_parse(text, ret) == 0)
		return 0;
	return hull_error_set(err, EINVAL, "annotations: %s is \"%.32s\": expected bits per second from 1k to 1P, such as 10M", key, text);
}

int hull_network_limits(const struct hull_config *config, const struct hull_oci_spec *spec, struct hull_net_limits *ret,
			struct hull_error *err)
{
	*ret = (struct hull_net_limits){ config->ingress_bps, config->egress_bps };
	int r = read_annotation(spec, "kubernetes.io/ingress-bandwidth", &ret->ingress_bps, err);
	return r < 0 ? r : read_annotation(spec, "kubernetes.io/egress-bandwidth", &ret->egress_bps, err);
}
