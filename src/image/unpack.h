/* SPDX-License-Identifier: Apache-2.0 */
/* One layer, a tar, laid over what is in a tree already. Source: OCI image-spec, layer.md. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "image/blob.h"
#include "image/reader.h"
#include "image/tree.h"

/*
 * Unpacks `layer` into `tree`: whiteouts are honoured, owners (as root only), modes, times, "user." attributes and
 * file capabilities are kept. Refused, with the member's name: absolute names, "..", device nodes, and whatever is
 * beyond the budget. `marked_end` demands the mark at the end of the tar, for one that no digest vouches for.
 */
int hull_image_unpack_layer(struct hull_image_tree *tree, const struct hull_image_blob *layer,
			    struct hull_image_budget *budget, bool marked_end, struct hull_error *err);
