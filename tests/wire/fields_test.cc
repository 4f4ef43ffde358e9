// SPDX-License-Identifier: Apache-2.0
#include "wire/fields.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

FieldReader Read(std::string_view body, Strictness strictness = Strictness::kPublished) {
  auto fields = FieldReader::Parse(body, strictness);
  EXPECT_TRUE(fields.ok()) << fields.status().ToString();
  return std::move(*fields);
}

TEST(FieldReader, NamesMatchExactlyElseWhateverTheirCase) {
  FieldReader fields = Read(R"({"Image":"a","NAME":"b"})");
  std::string image, name;
  fields.Text("image", &image);
  fields.Text("name", &name);
  EXPECT_TRUE(fields.status().ok());
  EXPECT_EQ(image, "a");
  EXPECT_EQ(name, "b");
  EXPECT_TRUE(fields.Unknown().empty());
}

TEST(FieldReader, OneFieldInTwoSpellingsIsADuplicate) {
  FieldReader fields = Read(R"({"image":"a","IMAGE":"b"})");
  std::string image;
  fields.Text("image", &image);
  EXPECT_EQ(fields.status().message(), "Invalid request: image: duplicate key");
  EXPECT_EQ(fields.status().reason(), "invalid_request");
  EXPECT_EQ(fields.status().field(), "image");
}

TEST(FieldReader, NullAndZeroLeaveTheDefault) {
  FieldReader fields = Read(R"({"s":"","t":null,"n":0,"b":false,"l":[],"m":{},"o":0,"ob":false})");
  std::string s = "default", t = "default";
  int64_t n = 7;
  bool b = true;
  std::vector<std::string> l = {"x"};
  std::map<std::string, std::string> m = {{"k", "v"}};
  std::optional<int64_t> o;
  std::optional<bool> ob;
  fields.Text("s", &s);
  fields.Text("t", &t);
  fields.Int("n", 1, 10, &n);
  fields.Bool("b", &b);
  fields.TextList("l", &l);
  fields.TextMap("m", &m);
  fields.OptionalInt("o", 0, 10, &o);
  fields.OptionalBool("ob", &ob);
  ASSERT_TRUE(fields.status().ok());
  EXPECT_EQ(s, "default");
  EXPECT_EQ(t, "default");
  EXPECT_EQ(n, 7);
  EXPECT_TRUE(b);
  EXPECT_EQ(l.size(), 1u);
  EXPECT_EQ(m.size(), 1u);
  EXPECT_EQ(o, 0);
  EXPECT_EQ(ob, false);
}

TEST(FieldReader, BrokenJsonIsAnInvalidRequest) {
  for (const char* body :
       {"", "{", "[]", "\"x\"", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}", "{'a':1}", "nonsense"}) {
    const auto fields = FieldReader::Parse(body, Strictness::kPublished);
    ASSERT_FALSE(fields.ok()) << body;
    EXPECT_EQ(fields.status().code(), StatusCode::kInvalidArgument) << body;
    EXPECT_EQ(fields.status().reason(), "invalid_request") << body;
    EXPECT_TRUE(fields.status().message().starts_with("Invalid request: ")) << body;
  }
}

TEST(FieldReader, DepthIsLimitedTo64) {
  const auto nested = [](int depth) {
    return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(FieldReader::Parse(nested(63), Strictness::kPublished).ok());
  EXPECT_FALSE(FieldReader::Parse(nested(64), Strictness::kPublished).ok());
}

TEST(FieldReader, BytesAfterTheValueAreLeftAloneOrRefused) {
  size_t end = 0;
  const auto lenient = FieldReader::Parse("{}stdin", Strictness::kPublished, &end);
  EXPECT_TRUE(lenient.ok());
  EXPECT_EQ(end, 2u);
  EXPECT_FALSE(FieldReader::Parse("{}stdin", Strictness::kStrict).ok());
}

TEST(FieldReader, UnknownFieldsAreReportedOrRefused) {
  FieldReader lenient = Read(R"({"known":"x","odd":1,"ev\u0007il":2})");
  std::string known;
  lenient.Text("known", &known);
  EXPECT_TRUE(lenient.Finish().ok());
  EXPECT_EQ(lenient.Unknown(), (std::vector<std::string>{"odd", "ev\\x07il"}));

  FieldReader strict = Read(R"({"odd":1})", Strictness::kStrict);
  EXPECT_EQ(strict.Finish().field(), "odd");
}

TEST(FieldReader, WrongTypesNameTheEntry) {
  const auto field_of = [](std::string_view body, auto read) {
    FieldReader fields = Read(body);
    read(fields);
    return fields.status().field();
  };
  const auto list = [](FieldReader& fields) {
    std::vector<std::string> out;
    fields.TextList("env", &out);
  };
  const auto map = [](FieldReader& fields) {
    std::map<std::string, std::string> out;
    fields.TextMap("labels", &out);
  };
  EXPECT_EQ(field_of(R"({"env":["a","b",3]})", list), "env[2]");
  EXPECT_EQ(field_of(R"({"env":"a"})", list), "env");
  EXPECT_EQ(field_of(R"({"env":["a\u0000"]})", list), "env[0]");
  EXPECT_EQ(field_of(R"({"env":["a\nb"]})", list), "env[0]");
  EXPECT_EQ(field_of(R"({"labels":{"k":1}})", map), "labels[\"k\"]");
  EXPECT_EQ(field_of(R"({"labels":[]})", map), "labels");
}

TEST(FieldReader, TheFirstErrorIsKept) {
  FieldReader fields = Read(R"({"a":1,"b":2})");
  std::string text;
  fields.Text("a", &text);
  fields.Text("b", &text);
  EXPECT_EQ(fields.status().field(), "a");
}

}  // namespace
}  // namespace minibox::wire
