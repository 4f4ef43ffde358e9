// SPDX-License-Identifier: Apache-2.0
#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace minibox::json {
namespace {

using ::testing::HasSubstr;

Value MustParse(std::string_view text) {
  auto value = Parse(text);
  EXPECT_TRUE(value.ok()) << text << ": " << value.status().message();
  return value.ok() ? *value : Value();
}

TEST(Json, ReadsEveryType) {
  const Value v = MustParse(
      R"({"s":"aä\n😀","i":-5,"u":18446744073709551615,"d":1.5,"b":true,"n":null,"a":[1,2],"o":{"k":"v"}})");
  EXPECT_EQ(*v.GetString("s"), "aä\n😀");
  EXPECT_EQ(*v.GetInt("i"), -5);
  EXPECT_EQ(*v.Get("u").AsUint(), UINT64_MAX);
  EXPECT_EQ(*v.Get("d").AsDouble(), 1.5);
  EXPECT_EQ(*v.Get("i").AsDouble(), -5.0);
  EXPECT_EQ(*v.GetBool("b", false), true);
  EXPECT_EQ(v.Get("n").type(), Type::kNull);
  EXPECT_TRUE(v.Get("n").empty());
  EXPECT_FALSE(v.Get("n").absent());
  EXPECT_EQ(v.Get("a").size(), 2u);
  EXPECT_EQ(*v.Get("a").At(1).AsInt(), 2);
  EXPECT_EQ(v.GetStringMap("o")->at("k"), "v");
  EXPECT_EQ(v.Members().size(), 8u);
  EXPECT_EQ(v.Members()[1].first, "i");
}

TEST(Json, WrongTypesNameThePath) {
  const Value v = MustParse(
      R"({"layers":[{"digest":"a"},{"digest":5}],"ports":{"8080":true},"big":18446744073709551615})");
  const Status status = v.Get("layers").At(1).GetString("digest").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.reason(), "invalid_argument");
  EXPECT_EQ(status.message(), "$.layers[1].digest: expected a string");
  EXPECT_EQ(status.field(), "layers[1].digest");
  EXPECT_EQ(v.Get("layers").AsStringMap().status().field(), "layers");
  EXPECT_EQ(v.Get("ports").AsStringMap().status().message(),
            "$.ports[\"8080\"]: expected a string");
  EXPECT_EQ(v.Get("ports").Get("8080").AsInt().status().field(), "ports[\"8080\"]");
  EXPECT_EQ(v.GetInt("big").status().field(), "big");
  EXPECT_EQ(v.GetStringArray("layers").status().field(), "layers[0]");
  EXPECT_EQ(v.AsString().status().message(), "$: expected a string");
  EXPECT_EQ(v.AsString().status().field(), "");
  EXPECT_EQ(v.GetInt("layers", 3).status().field(), "layers");
}

TEST(Json, IntegersAreNotRounded) {
  const Value v = MustParse("[1.5, 1e3, 9223372036854775808, -1]");
  EXPECT_FALSE(v.At(0).AsInt().ok());
  EXPECT_FALSE(v.At(1).AsInt().ok());
  EXPECT_FALSE(v.At(2).AsInt().ok());
  EXPECT_EQ(*v.At(2).AsUint(), 9223372036854775808u);
  EXPECT_FALSE(v.At(3).AsUint().ok());
}

TEST(Json, NumbersConvertExactly) {
  const Value v = MustParse(
      "[0e308, 1e-400, -0.0, 2.2250738585072011e-308, 1.7976931348623157e308, 0.1, 1E+2, "
      "0.000001e-99999999999999999999, -9223372036854775808]");
  EXPECT_EQ(*v.At(0).AsDouble(), 0.0);
  EXPECT_EQ(*v.At(1).AsDouble(), 0.0);
  EXPECT_EQ(*v.At(2).AsDouble(), 0.0);
  EXPECT_EQ(*v.At(3).AsDouble(), 2.2250738585072011e-308);
  EXPECT_EQ(*v.At(4).AsDouble(), 1.7976931348623157e308);
  EXPECT_EQ(*v.At(5).AsDouble(), 0.1);
  EXPECT_EQ(*v.At(6).AsDouble(), 100.0);
  EXPECT_EQ(*v.At(7).AsDouble(), 0.0);
  EXPECT_EQ(*v.At(8).AsInt(), INT64_MIN);
  EXPECT_EQ(*MustParse("0." + std::string(400, '0') + "1e10").AsDouble(), 0.0);
  EXPECT_EQ(*MustParse("0." + std::string(400, '0') + "1e401").AsDouble(), 1.0);
  EXPECT_FALSE(Parse("1" + std::string(400, '0') + "e-10").ok());
  EXPECT_FALSE(Parse("-1e99999999999999999999").ok());
}

TEST(Json, AbsentChainsKeepThePath) {
  const Value v = MustParse(R"({"a":"text"})");
  const Value missing = v.Get("x").At(3).Get("y");
  EXPECT_TRUE(missing.absent());
  EXPECT_EQ(missing.path(), "$.x[3].y");
  EXPECT_EQ(missing.AsString().status().field(), "x[3].y");
  EXPECT_TRUE(v.Get("a").Get("b").absent());
  EXPECT_TRUE(v.Get("a").At(0).absent());
  EXPECT_EQ(*v.GetString("x", "default"), "default");
  EXPECT_EQ(*v.GetInt("x", 9), 9);
  EXPECT_TRUE(v.GetStringArray("x")->empty());
  EXPECT_TRUE(v.GetStringMap("x")->empty());
  EXPECT_TRUE(Value().absent());
  EXPECT_EQ(Value().size(), 0u);
}

TEST(Json, ValuesKeepTheirDocumentAlive) {
  Value inner;
  {
    std::string text = R"({"a":{"b":"a string too long to be stored inline by anybody"}})";
    inner = MustParse(text).Get("a").Get("b");
    text.assign(text.size(), 'x');
  }
  EXPECT_EQ(*inner.AsString(), "a string too long to be stored inline by anybody");
}

TEST(Json, RefusesMalformedInputWithItsPosition) {
  const struct {
    std::string_view text;
    const char* message;
  } kCases[] = {
      {"", "1:1: no JSON value"},
      {"  \n ", "2:2: no JSON value"},
      {"{", "1:2: expected a key in quotes"},
      {"[1,2", "1:5: expected ',' or ']'"},
      {"{\"a\":1,}", "1:8: expected a key in quotes"},
      {"[1,]", "1:4: invalid value"},
      {"{\"a\" 1}", "1:6: expected ':' after a key"},
      {"{\"a\":1 \"b\":2}", "1:8: expected ',' or '}'"},
      {"{a:1}", "1:2: expected a key in quotes"},
      {"{'a':1}", "1:2: expected a key in quotes"},
      {"\n\n  nul", "3:6"},
      {"[1] 2", "1:5: unexpected bytes after the value"},
      {"1 2", "1:3: unexpected bytes"},
      {"{}\n}", "2:1: unexpected bytes"},
      {"/* c */ 1", "1:1: invalid value"},
      {"[1, // c\n2]", "1:5: invalid value"},
      {"NaN", "1:1: invalid value"},
      {"[Infinity]", "1:2: invalid value"},
      {"-", "1:2"},
      {"+1", "1:1: invalid value"},
      {".5", "1:1: invalid value"},
      {"1.", "1:3: incomplete number"},
      {"1e", "1:3: incomplete number"},
      {"01", "1:2: unexpected bytes"},
      {"0x10", "1:2: unexpected bytes"},
      {"1e999", "number out of range"},
      {"\"a", "unterminated string"},
      {"\"\\x41\"", "invalid escape"},
      {"\"\\u12\"", "invalid \\u escape"},
      {"\"\\ud800\"", "invalid \\u escape"},
      {"\"\\ud800\\u0041\"", "invalid \\u escape"},
      {"\"\\udc00\"", "$: invalid UTF-8"},
      {"[0,\"\\udfff\"]", "$[1]: invalid UTF-8"},
      {"{\"\\udc00\":1}", "invalid UTF-8 in a key"},
      {"\"\n\"", "control character"},
      {"\"\t\"", "control character"},
      {"\"\xff\"", "invalid UTF-8"},
      {"\"\xc0\xaf\"", "invalid UTF-8"},
      {"\"\xed\xa0\x80\"", "invalid UTF-8"},
      {"\xef\xbb\xbf{}", "1:1: invalid value"},
      {std::string_view("1\0", 2), "1:2: unexpected bytes"},
      {std::string_view("\"a\0b\"", 5), "unterminated string"},
      {std::string_view("\0", 1), "1:1"},
      {"[\"ä\", x]", "1:7: invalid value"},
      {"{\"a\":1,\"a\":1}", "$.a: duplicate key"},
      {"{\"a\":{\"b\":[0,{\"c\":1,\"\\u0063\":2}]}}", "$.a.b[1].c: duplicate key"},
      {"{\"\":1,\"\":2}", "$[\"\"]: duplicate key"},
      {"True", "1:1: invalid value"},
      {"undefined", "1:1: invalid value"},
      {"]", "1:1: invalid value"},
      {"[}", "1:2: invalid value"},
  };
  for (const auto& c : kCases) {
    const auto result = Parse(c.text);
    ASSERT_FALSE(result.ok()) << c.text;
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument) << c.text;
    EXPECT_EQ(result.status().reason(), "invalid_argument") << c.text;
    EXPECT_THAT(result.status().message(), HasSubstr(c.message)) << c.text;
  }
}

TEST(Json, SameKeyInDifferentObjectsIsFine) {
  EXPECT_EQ(MustParse(R"([{"a":1},{"a":{"a":2}}])").At(1).Get("a").GetInt("a").value(), 2);
}

TEST(Json, DepthIsLimited) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(Parse(nested(64)).ok());
  const Status status = Parse(nested(65)).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("nested deeper than 64"));
  EXPECT_TRUE(Parse(nested(3), {.max_depth = 3}).ok());
  EXPECT_FALSE(Parse(nested(4), {.max_depth = 3}).ok());
  // Neither parsing nor refusing may use the stack per level.
  EXPECT_FALSE(Parse(std::string(4'000'000, '[')).ok());
  EXPECT_TRUE(Parse(nested(1'000'000), {.max_depth = 1'000'000}).ok());
}

TEST(Json, SizeIsLimited) {
  EXPECT_TRUE(Parse("[1,2]", {.max_bytes = 5}).ok());
  const Status status = Parse("[1,2] ", {.max_bytes = 5}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "larger than 5 bytes");
}

TEST(Json, BytesAfterTheValueAreTheCallers) {
  size_t end = 0;
  const std::string_view text = " {\"a\":1}stdin\0bytes";
  ASSERT_TRUE(Parse(text, {.end = &end}).ok());
  EXPECT_EQ(end, 8u);
  ASSERT_TRUE(Parse("{}" + std::string(100, 'x'), {.max_bytes = 10, .end = &end}).ok());
  EXPECT_EQ(end, 2u);
  const std::string long_value = "\"" + std::string(100, 'x') + "\"";
  EXPECT_EQ(Parse(long_value, {.max_bytes = 10, .end = &end}).status().message(),
            "larger than 10 bytes");
  EXPECT_FALSE(Parse("{", {.end = &end}).ok());
}

TEST(Json, DumpIsCompactAndParsesBack) {
  const std::string text =
      R"({"z":[1,-2,18446744073709551615,1.5,true,false,null,"q\"\\\n€"],"a":{},"b":[]})";
  const Value v = MustParse(text);
  EXPECT_EQ(v.Dump(), text);
  EXPECT_EQ(v.Get("z").At(7).Dump(), R"("q\"\\\n€")");
  EXPECT_EQ(v.Get("none").Dump(), "null");
}

}  // namespace
}  // namespace minibox::json
