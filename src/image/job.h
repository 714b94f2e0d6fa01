/* SPDX-License-Identifier: Apache-2.0 */
/* One call of hull_image_unpack(), handed to the code of each kind of image. Private to src/image. */
#pragma once

#include "base/error.h"
#include "image/image.h"
#include "image/json.h"
#include "image/reader.h"
#include "image/store.h"
#include "image/tree.h"

struct hull_image_job {
	const char *reference;                /* NULL: the only image */
	struct hull_image_tree tree;
	struct hull_image_budget budget;
	struct hull_image_store *store;       /* NULL for a tar of a root file system */
	void (*progress)(void *data, const char *line);
	void *data;
	struct hull_image_config *config;
};

/* Unpacks layer `i` (from 0) of `n`, called `name`, with a line of progress. */
int hull_image_job_layer(struct hull_image_job *job, size_t i, size_t n, const char *name,
			 const struct hull_image_blob *layer, struct hull_error *err);

/* Layouts of the OCI. Source: OCI image-spec, image-layout.md. */
int hull_image_layout_unpack(struct hull_image_job *job, struct hull_error *err);

/* What `docker save` writes, of old and of now. Source: moby, image/tarexport. */
int hull_image_docker_unpack(struct hull_image_job *job, struct hull_error *err);

/* Fills `ret` from an image's configuration; on an error `ret` may be half full. Source: OCI image-spec, config.md. */
int hull_image_config_parse(const struct hull_image_json *document, struct hull_image_config *ret,
			    struct hull_error *err);
