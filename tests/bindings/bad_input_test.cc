// SPDX-License-Identifier: Apache-2.0
// What no program should hand over: NULL, handles of another kind, structs of wrong sizes, JSON
// that is none.
#include <unistd.h>

#include <cstring>
#include <vector>

#include "bindings/c_fixture.h"

namespace minibox::testing {
namespace {

using CBadInput = CTest;

TEST_F(CBadInput, NullHandlesAreNamed) {
  const auto null = [](const char* name) { return std::string("3 invalid_argument ") + name; };
  EXPECT_EQ(Taken(minibox_store_open(nullptr, nullptr)), null("store"));
  EXPECT_EQ(Taken(minibox_store_root(nullptr, nullptr)), null("store"));
  EXPECT_EQ(Taken(minibox_image_list(nullptr, nullptr)), null("store"));
  EXPECT_EQ(Taken(minibox_image_load(nullptr, -1, nullptr, nullptr, nullptr, nullptr)),
            null("store"));
  EXPECT_EQ(Taken(minibox_volume_create(nullptr, nullptr, nullptr, nullptr)), null("store"));
  EXPECT_EQ(Taken(minibox_registry_open(store_, nullptr, nullptr)), null("registry"));
  EXPECT_EQ(Taken(minibox_registry_pull(nullptr, "a", nullptr, nullptr, nullptr)),
            null("registry"));
  EXPECT_EQ(Taken(minibox_network_open(nullptr, nullptr, nullptr)), null("store"));
  EXPECT_EQ(Taken(minibox_network_list(nullptr, nullptr)), null("network"));
  EXPECT_EQ(Taken(minibox_runtime_open(store_, nullptr, nullptr, nullptr)), null("network"));
  EXPECT_EQ(Taken(minibox_container_list(nullptr, nullptr)), null("runtime"));
  EXPECT_EQ(Taken(minibox_container_run(nullptr, "{}", nullptr, nullptr)), null("runtime"));
  EXPECT_EQ(Taken(minibox_container_stop(nullptr, "a", nullptr, nullptr, nullptr)),
            null("runtime"));
  EXPECT_EQ(Taken(minibox_container_logs(nullptr, "a", nullptr, nullptr, nullptr, nullptr)),
            null("runtime"));
  EXPECT_EQ(Taken(minibox_events(nullptr, nullptr, nullptr, nullptr, nullptr)), null("runtime"));
  EXPECT_EQ(Taken(minibox_process_wait(nullptr, nullptr, nullptr, nullptr, nullptr)),
            null("process"));
  EXPECT_EQ(Taken(minibox_builder_build(nullptr, "{}", nullptr, nullptr, nullptr, nullptr)),
            null("builder"));
  EXPECT_EQ(Taken(minibox_compose_up(nullptr, nullptr, nullptr)), null("compose"));
  EXPECT_EQ(Taken(minibox_build_check(nullptr, nullptr)), null("minibox_file"));
  EXPECT_EQ(Taken(minibox_credentials_save(nullptr, "a", nullptr)), null("file"));
}

TEST_F(CBadInput, NullTextsAreNamed) {
  EXPECT_EQ(Taken(minibox_image_get(store_, nullptr, nullptr)), "3 invalid_argument image");
  EXPECT_EQ(Taken(minibox_image_tag(store_, "a", nullptr)), "3 invalid_argument reference");
  EXPECT_EQ(Taken(minibox_volume_remove(store_, nullptr)), "3 invalid_argument name");
  EXPECT_EQ(Taken(minibox_image_import(store_, 0, nullptr, nullptr, nullptr, nullptr)),
            "3 invalid_argument image");
  const char* const images[] = {"a", nullptr};
  EXPECT_EQ(Taken(minibox_image_save(store_, images, 2, 1, nullptr, nullptr)),
            "3 invalid_argument images[1]");
  EXPECT_EQ(Taken(minibox_image_save(store_, nullptr, 1, 1, nullptr, nullptr)),
            "3 invalid_argument images");
}

TEST_F(CBadInput, HandlesOfAnotherKindAreRefused) {
  auto* const wrong = reinterpret_cast<minibox_runtime*>(store_);
  EXPECT_EQ(Taken(minibox_container_list(wrong, nullptr)), "3 invalid_argument runtime");
  minibox_cancel* const cancel = minibox_cancel_new();
  EXPECT_EQ(Taken(minibox_image_list(reinterpret_cast<minibox_store*>(cancel), nullptr)),
            "3 invalid_argument store");
  EXPECT_EQ(Taken(minibox_store_verify(store_, reinterpret_cast<minibox_cancel*>(store_), nullptr)),
            "3 invalid_argument cancel");
  // Freed as what it is not, it stays what it is.
  minibox_runtime_free(wrong);
  EXPECT_EQ(Taken(minibox_image_list(store_, nullptr)), "ok");
  minibox_cancel_free(cancel);
}

TEST_F(CBadInput, EveryFreeAcceptsNull) {
  minibox_error_free(nullptr);
  minibox_cancel_free(nullptr);
  minibox_store_free(nullptr);
  minibox_registry_free(nullptr);
  minibox_network_free(nullptr);
  minibox_runtime_free(nullptr);
  minibox_process_free(nullptr);
  minibox_builder_free(nullptr);
  minibox_compose_free(nullptr);
  minibox_string_free(nullptr);
  minibox_cancel_request(nullptr);
  EXPECT_EQ(minibox_cancel_requested(nullptr), 0);
}

TEST_F(CBadInput, NoErrorReadsAsSuccess) {
  EXPECT_EQ(minibox_error_code(nullptr), MINIBOX_OK);
  EXPECT_STREQ(minibox_error_reason(nullptr), "");
  EXPECT_STREQ(minibox_error_message(nullptr), "");
  EXPECT_STREQ(minibox_error_field(nullptr), "");
  EXPECT_EQ(minibox_error_errno(nullptr), 0);
  EXPECT_EQ(minibox_error_exit_code(nullptr), 0);
}

TEST_F(CBadInput, StructsOfWrongSizesAreRefused) {
  minibox_prune_options options{};
  for (const size_t size :
       {size_t{0}, size_t{8}, sizeof options - 1, size_t{1} << 30, ~size_t{0}}) {
    options.struct_size = size;
    EXPECT_EQ(Taken(minibox_store_prune(store_, &options, nullptr, nullptr)),
              "3 invalid_argument options")
        << size;
  }
  minibox_exit exit{};
  EXPECT_EQ(Taken(minibox_process_wait(nullptr, nullptr, nullptr, nullptr, &exit)),
            "3 invalid_argument process");
  minibox_credentials credentials{};
  EXPECT_EQ(Taken(minibox_credentials_save((scratch_ / "auth").c_str(), "a", &credentials)),
            "3 invalid_argument credentials");
}

TEST_F(CBadInput, OptionsOfANewerVersionAreRefusedUnlessTheyAreZero) {
  struct Newer {
    minibox_prune_options known;
    uint64_t added[4];
  } newer{};
  newer.known.struct_size = sizeof newer;
  EXPECT_EQ(Taken(minibox_store_prune(store_, &newer.known, nullptr, nullptr)), "ok");
  newer.added[3] = 1;
  minibox_error* const error = minibox_store_prune(store_, &newer.known, nullptr, nullptr);
  ASSERT_NE(error, nullptr);
  EXPECT_STREQ(minibox_error_message(error),
               "options: has options that this version does not know");
  minibox_error_free(error);
}

TEST_F(CBadInput, RequestsThatAreNoneAreRefused) {
  for (const char* labels : {"", "[]", "{\"a\": 1}", "{\"a\": \"b\"} x", "nonsense"}) {
    const std::string answer = Taken(minibox_volume_create(store_, "v", labels, nullptr));
    EXPECT_TRUE(answer.starts_with("3 ")) << labels << ": " << answer;
    EXPECT_TRUE(answer.ends_with(" labels_json")) << labels << ": " << answer;
  }
  char* volumes = nullptr;
  minibox_error* const listed = minibox_volume_list(store_, &volumes);
  EXPECT_EQ(Json(listed, volumes), "[]");
}

TEST_F(CBadInput, ResultsStayUntouchedOnFailure) {
  char before[] = "before";
  char* json = before;
  EXPECT_EQ(Taken(minibox_image_get(store_, "nothing", &json)), "5 image_not_found ");
  EXPECT_EQ(json, before);
}

TEST_F(CBadInput, ADirectoryThatIsNoDataRootIsRefused) {
  scratch_.Write("other/file", "x");
  const std::string root = scratch_ / "other";
  minibox_store_options options{};
  options.struct_size = sizeof options;
  options.root = root.c_str();
  minibox_store* store = nullptr;
  minibox_error* const error = minibox_store_open(&options, &store);
  EXPECT_EQ(minibox_error_code(error), MINIBOX_FAILED_PRECONDITION);
  EXPECT_EQ(store, nullptr);
  minibox_error_free(error);
}

}  // namespace
}  // namespace minibox::testing
