// SPDX-License-Identifier: Apache-2.0
#pragma once

// Symbols marked MINIBOX_EXPORT are the whole ABI of libminibox.so; everything
// else is compiled with -fvisibility=hidden.
#define MINIBOX_EXPORT [[gnu::visibility("default")]]
