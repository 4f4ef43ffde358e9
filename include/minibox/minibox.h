// SPDX-License-Identifier: Apache-2.0
// Everything of MiniBox: containers, images and networks as a library.
#pragma once

#include "minibox/compose.h"
#include "minibox/container_details.h"
#include "minibox/container_files.h"
#include "minibox/events.h"
#include "minibox/image_builder.h"
#include "minibox/log.h"
#include "minibox/network.h"
#include "minibox/registry.h"
#include "minibox/runtime.h"
#include "minibox/stats.h"
#include "minibox/status.h"
#include "minibox/store.h"
#include "minibox/system.h"
#include "minibox/types.h"
#include "minibox/version.h"
