// SPDX-License-Identifier: Apache-2.0
// What the name server of a network knows: the containers on it, and those on the other networks
// that they are on. The engine writes a file of lines, replaced as a whole with every change;
// words are separated by one blank, "-" stands for nothing.
//
//   minibox-dns 1
//   pid <of the name server that is meant>
//   internal                      other names are refused
//   network <name> [projects]     the own one first; with `projects` its containers see only
//                                 those of their own project
//   container <IPv4> <IPv6|-> <project|-> <id>     on the network above
//   dns <IP>                      of the container above: who knows all other names for it
//   name <name>                   of the container above; the first is the one that PTR tells
//
// Compiled by both worlds: no standard library.
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "init/dns_message.h"
#include "init/plan.h"

namespace minibox::init {

inline constexpr size_t kMaxDnsRecordsBytes = 64u << 20;

struct DnsServer {
  uint8_t family;  // AF_INET, AF_INET6
  uint8_t address[16];
};

struct DnsNetwork {
  const char* name;  // lower case
  bool projects;
};

// A container on one network.
struct DnsContainer {
  const DnsNetwork* network;
  const char* id;
  const DnsContainer* same;  // a ring: the container on the next of its networks
  uint8_t ip[4], ip6[16];
  bool has_ip6;
  const char* project;
  const char* name;  // the first, or ""
  const DnsServer* servers;
  uint32_t server_count;
};

struct DnsName {
  const char* name;  // lower case
  const DnsContainer* container;
  DnsName* next;  // in its bucket
};

class DnsRecords {
 public:
  // Replaces everything by what `text` says; `text` is changed and must stay. False if it is not
  // such a file or memory is out: then nothing is known.
  bool Parse(char* text, size_t size);
  void Clear();

  int pid() const { return pid_; }
  bool internal() const { return internal_; }
  const DnsContainer* FindByIp(const uint8_t* ip) const;
  const DnsContainer* FindByIp6(const uint8_t* ip) const;

  // Visits the containers called `name` (lower case; also as <x>.<network>) that `asker` may
  // see; nullptr: somebody who is no container, and sees none. Returns whether there are any.
  template <typename Visit>
  bool ForEach(const char* name, const DnsContainer* asker, Visit visit) const {
    bool any = Visited(name, nullptr, asker, visit);
    for (const DnsNetwork& network : networks_) {
      char stem[kMaxDnsName + 1];
      any |= Stem(name, network.name, stem) && Visited(stem, &network, asker, visit);
    }
    return any;
  }
  bool Sees(const DnsContainer* asker, const DnsContainer& other) const;

 private:
  const DnsName* Bucket(const char* name) const;
  static bool Stem(const char* name, const char* network, char* stem);
  template <typename Visit>
  bool Visited(const char* name, const DnsNetwork* only, const DnsContainer* asker,
               Visit& visit) const {
    bool any = false;
    for (const DnsName* entry = Bucket(name); entry != nullptr; entry = entry->next) {
      const DnsContainer& container = *entry->container;
      if (__builtin_strcmp(entry->name, name) != 0 || !Sees(asker, container) ||
          (only != nullptr && container.network != only)) {
        continue;
      }
      visit(container);
      any = true;
    }
    return any;
  }
  bool ParseLines(char* text, size_t size);
  void LinkNetworks();

  Arena arena_;
  List<DnsNetwork> networks_;
  List<DnsContainer> containers_;
  List<DnsName> names_;
  DnsName** buckets_ = nullptr;
  const DnsContainer** by_ip_ = nullptr;
  uint32_t bucket_count_ = 0;
  int pid_ = 0;
  bool internal_ = false;
};

// Text of an address; false if it is none.
bool ParseDnsServer(const char* text, DnsServer* server);

}  // namespace minibox::init
