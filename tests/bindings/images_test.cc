// SPDX-License-Identifier: Apache-2.0
// Images and volumes without any privilege, and handles freed in any order.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "bindings/c_fixture.h"

namespace minibox::testing {
namespace {

using CImages = CTest;
using ::testing::HasSubstr;

TEST_F(CImages, AnImageIsImportedFoundSavedLoadedAndRemoved) {
  Import("base:1");
  char* json = nullptr;
  minibox_error* error = minibox_image_list(store_, &json);
  EXPECT_THAT(Json(error, json), HasSubstr("\"base:1\""));
  json = nullptr;
  error = minibox_image_inspect(store_, "base:1", nullptr, &json);
  EXPECT_THAT(Json(error, json), HasSubstr("\"layers\":[{"));
  json = nullptr;
  error = minibox_image_history(store_, "base:1", &json);
  EXPECT_TRUE(Json(error, json).starts_with("[{"));

  const std::string archive = scratch_ / "a.tar";
  const int out = open(archive.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const char* const names[] = {"base:1"};
  minibox_save_options options{};
  options.struct_size = sizeof options;
  options.compression = "gzip";
  EXPECT_EQ(Taken(minibox_image_save(store_, names, 1, out, &options, nullptr)), "ok");
  options.compression = "brotli";
  EXPECT_EQ(Taken(minibox_image_save(store_, names, 1, out, &options, nullptr)),
            "3 invalid_argument compression");
  minibox_store* const other = OpenStore(scratch_ / "other");
  lseek(out, 0, SEEK_SET);
  json = nullptr;
  error = minibox_image_load(other, out, nullptr, nullptr, nullptr, &json);
  EXPECT_THAT(Json(error, json), HasSubstr("\"base:1\""));
  close(out);
  minibox_store_free(other);

  json = nullptr;
  error = minibox_image_remove(store_, "base:1", 0, &json);
  EXPECT_THAT(Json(error, json), HasSubstr("base:1"));
  json = nullptr;
  error = minibox_store_prune(store_, nullptr, nullptr, &json);
  EXPECT_THAT(Json(error, json), HasSubstr("\"blobs_removed\":"));
  json = nullptr;
  error = minibox_store_usage(store_, 1, &json);
  EXPECT_THAT(Json(error, json), HasSubstr("\"images\""));
  json = nullptr;
  error = minibox_store_verify(store_, nullptr, &json);
  EXPECT_THAT(Json(error, json), HasSubstr("\"problems\":[]"));
}

TEST_F(CImages, AVolumeLivesAndDies) {
  char* json = nullptr;
  minibox_error* error = minibox_volume_create(store_, "v", "{\"a\": \"b\"}", &json);
  EXPECT_THAT(Json(error, json), HasSubstr("\"labels\":{\"a\":\"b\"}"));
  EXPECT_EQ(Taken(minibox_volume_create(store_, "", nullptr, nullptr)), "ok");
  json = nullptr;
  error = minibox_volume_prune(store_, 0, 1, &json);
  EXPECT_THAT(Json(error, json), HasSubstr("\"bytes_freed\""));
  EXPECT_EQ(Taken(minibox_volume_remove(store_, "v")), "ok");
  EXPECT_EQ(Taken(minibox_volume_remove(store_, "v")), "5 volume_not_found ");
}

TEST_F(CImages, ABuildFileIsCheckedWithoutAStore) {
  char* json = nullptr;
  minibox_error* const error = minibox_build_check("BASE scratch\nRNU x\n", &json);
  EXPECT_THAT(Json(error, json), HasSubstr("\"line\":2"));
}

TEST_F(CImages, HandlesKeepAliveWhatTheyWereMadeFrom) {
  minibox_registry* registry = nullptr;
  ASSERT_EQ(Taken(minibox_registry_open(store_, nullptr, &registry)), "ok");
  minibox_store_free(store_);
  store_ = nullptr;
  // Its store is still there to be asked.
  EXPECT_EQ(Taken(minibox_registry_push(registry, "nothing", nullptr, nullptr)),
            "5 image_not_found ");
  minibox_registry_free(registry);
}

TEST_F(CImages, CredentialsAreKeptInAFile) {
  const std::string file = scratch_ / "auth.json";
  minibox_credentials credentials{};
  credentials.struct_size = sizeof credentials;
  credentials.username = "me";
  credentials.password = "secret";
  EXPECT_EQ(Taken(minibox_credentials_save(file.c_str(), "registry.example", &credentials)), "ok");
  int removed = 0;
  EXPECT_EQ(Taken(minibox_credentials_remove(file.c_str(), "registry.example", &removed)), "ok");
  EXPECT_EQ(removed, 1);
  EXPECT_EQ(Taken(minibox_credentials_remove(file.c_str(), "registry.example", &removed)), "ok");
  EXPECT_EQ(removed, 0);
}

// What a user without privileges can do, on a data root of their own: 0 if all is as it should be,
// else the number of the step.
int AsNobody(const std::string& root) {
  minibox_store_options options{};
  options.struct_size = sizeof options;
  options.root = root.c_str();
  minibox_store* store = nullptr;
  if (Taken(minibox_store_open(&options, &store)) != "ok") return 1;
  if (Taken(minibox_image_list(store, nullptr)) != "ok") return 2;
  if (Taken(minibox_image_get(store, "none", nullptr)) != "5 image_not_found ") return 3;
  if (Taken(minibox_image_inspect(store, "base", nullptr, nullptr)) != "ok") return 4;
  minibox_network* network = nullptr;
  if (Taken(minibox_network_open(store, nullptr, &network)) != "ok") return 5;
  minibox_runtime* runtime = nullptr;
  minibox_error* error = minibox_runtime_open(store, network, nullptr, &runtime);
  if (error == nullptr) {
    error = minibox_container_run(
        runtime, R"({"image": "base", "command": ["/x"], "network": "none"})", nullptr, nullptr);
  }
  if (Taken(error) != "7 missing_privilege ") return 6;
  minibox_runtime_free(runtime);
  minibox_network_free(network);
  minibox_store_free(store);
  return 0;
}

TEST_F(CImages, InspectionNeedsNoPrivilegeAndRunningSaysWhatItNeeds) {
  Import("base");
  const std::string root = scratch_ / "data";
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    constexpr uid_t kNobody = 65534;
    if (getuid() == 0) {
      const std::string change = "chown -R 65534:65534 " + scratch_.path();
      if (system(change.c_str()) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
          setresuid(kNobody, kNobody, kNobody) != 0) {
        _exit(100);
      }
    }
    _exit(AsNobody(root));
  }
  int status = -1;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace minibox::testing
