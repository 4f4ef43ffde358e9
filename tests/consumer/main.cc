// SPDX-License-Identifier: Apache-2.0
// A program of somebody else's: finds the installed package, opens a store, parses a build file.
#include <cstdio>
#include <filesystem>
#include <string>

#include "minibox/minibox.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto store = minibox::Store::Open({.root = argv[1]});
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
    return 1;
  }
  auto images = store->ListImages();
  if (!images.ok() || !images->empty()) return 1;
  for (const auto& diagnostic : minibox::ImageBuilder::Check("BASE scratch\nBLOCK a\n  RNU x\n")) {
    std::printf("%s\n", diagnostic.ToString().c_str());
  }
  auto missing = store->GetImage("nothing");
  std::printf("%s %s\n", std::string(minibox::LibraryVersion()).c_str(),
              missing.status().reason().c_str());
  return missing.status().reason() == "image_not_found" ? 0 : 1;
}
