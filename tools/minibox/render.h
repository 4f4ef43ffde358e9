// SPDX-License-Identifier: Apache-2.0
// Results as people read them (spec §15.3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/network.h"
#include "minibox/runtime.h"
#include "minibox/store.h"
#include "terminal.h"

namespace minibox::cli {

// Left-aligned columns: the widest cell and three blanks. Control characters are escaped, widths
// counted in code points. The first row is the heading.
class Table {
 public:
  struct Cell {
    std::string text{};
    Colour colour = Colour::kNone;
    Cell(std::string t, Colour c = Colour::kNone) : text(std::move(t)), colour(c) {}
    Cell(const char* t) : text(t) {}
  };
  // `gap`: blanks after the widest cell.
  explicit Table(std::vector<Cell> heading, size_t gap = 3) : gap_(gap) {
    rows_.push_back(std::move(heading));
  }
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  std::string Text(const Terminal& terminal) const;

 private:
  const size_t gap_;
  std::vector<std::vector<Cell>> rows_;
};

std::string SizeText(uint64_t bytes);                        // "12 B", "1.50 MB"
std::string TimeText(TimePoint time);                        // "2026-01-02 03:04:05", local time
std::string Shortened(std::string_view text, size_t limit);  // "0123456789012345678901..."
// "alpine:3" -> alpine, 3; without tag "latest"; nameless "<none>" twice.
std::pair<std::string, std::string> RepositoryAndTag(std::string_view name);
std::string PortsText(const std::vector<PortMapping>& ports);  // "0.0.0.0:80->80/tcp" or "-"
std::string ExitText(const ContainerInfo& info);               // "137", "-" while running

std::string ContainerTable(const std::vector<ContainerInfo>& containers, const Terminal& terminal);
std::string ContainersJson(const std::vector<ContainerInfo>& containers);
std::string ImageTable(const std::vector<ImageInfo>& images, const Terminal& terminal);
std::string VolumeTable(const std::vector<VolumeInfo>& volumes, const Terminal& terminal);
std::string NetworkTable(const std::vector<NetworkInfo>& networks, const Terminal& terminal);

}  // namespace minibox::cli
