// SPDX-License-Identifier: Apache-2.0
#include "bindings/c_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "support/tar_builder.h"

namespace minibox::testing {

std::string Taken(minibox_error* error) {
  if (error == nullptr) return "ok";
  const std::string text = std::to_string(minibox_error_code(error)) + " " +
                           minibox_error_reason(error) + " " + minibox_error_field(error);
  minibox_error_free(error);
  return text;
}

std::string MessageOf(minibox_error* error) {
  const std::string text = minibox_error_message(error);
  minibox_error_free(error);
  return text;
}

std::string Json(minibox_error* error, char* json) {
  EXPECT_EQ(error, nullptr) << minibox_error_message(error);
  minibox_error_free(error);
  const std::string text = json == nullptr ? "" : json;
  minibox_string_free(json);
  return text;
}

void CTest::SetUp() { store_ = OpenStore(scratch_ / "data"); }

minibox_store* CTest::OpenStore(const std::string& root) {
  minibox_store_options options{};
  options.struct_size = sizeof options;
  options.root = root.c_str();
  minibox_store* store = nullptr;
  EXPECT_EQ(Taken(minibox_store_open(&options, &store)), "ok");
  return store;
}

int CTest::Tar(size_t size) const {
  const std::string path =
      scratch_.Write("root.tar", TarBuilder().File("file", std::string(size, 'x')).Take());
  return open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

void CTest::Import(const char* name, size_t size) {
  const int fd = Tar(size);
  EXPECT_EQ(Taken(minibox_image_import(store_, fd, name, nullptr, nullptr, nullptr)), "ok");
  close(fd);
}

}  // namespace minibox::testing
