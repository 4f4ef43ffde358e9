// SPDX-License-Identifier: Apache-2.0
#include "kernel/conntrack.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "core/status_macros.h"
#include "kernel/netlink.h"

namespace minibox::kernel {
namespace {

// Which parts of a tuple a filter compares; the kernel's numbers, in none of its headers.
constexpr uint32_t kCompareSource = 1 << 0;
constexpr uint32_t kCompareDestination = 1 << 1;
constexpr uint32_t kCompareProtocol = 1 << 3;
constexpr uint32_t kCompareDestinationPort = 1 << 5;

}  // namespace

Status ForgetConnections(const ConntrackMatch& match) {
  NetlinkBatch batch;
  nlmsghdr* message = batch.Add(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_ACK,
                                "forget connections", "");
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = match.destination6 || match.reply_source6 ? AF_INET6 : AF_INET;
  header->version = NFNETLINK_V0;

  uint32_t original = kCompareProtocol, reply = 0;
  nlattr* tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
  if (match.source || match.destination || match.destination6) {
    nlattr* ip = mnl_attr_nest_start(message, CTA_TUPLE_IP);
    if (match.source) {
      mnl_attr_put_u32(message, CTA_IP_V4_SRC, htonl(*match.source));
      original |= kCompareSource;
    }
    if (match.destination) {
      mnl_attr_put_u32(message, CTA_IP_V4_DST, htonl(*match.destination));
      original |= kCompareDestination;
    }
    if (match.destination6) {
      mnl_attr_put(message, CTA_IP_V6_DST, match.destination6->size(), match.destination6->data());
      original |= kCompareDestination;
    }
    mnl_attr_nest_end(message, ip);
  }
  nlattr* protocol = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(message, CTA_PROTO_NUM, match.protocol);
  if (match.destination_port) {
    mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(*match.destination_port));
    original |= kCompareDestinationPort;
  }
  mnl_attr_nest_end(message, protocol);
  mnl_attr_nest_end(message, tuple);

  if (match.reply_source || match.reply_source6) {
    tuple = mnl_attr_nest_start(message, CTA_TUPLE_REPLY);
    nlattr* ip = mnl_attr_nest_start(message, CTA_TUPLE_IP);
    if (match.reply_source6) {
      mnl_attr_put(message, CTA_IP_V6_SRC, match.reply_source6->size(),
                   match.reply_source6->data());
    } else {
      mnl_attr_put_u32(message, CTA_IP_V4_SRC, htonl(*match.reply_source));
    }
    mnl_attr_nest_end(message, ip);
    mnl_attr_nest_end(message, tuple);
    reply = kCompareSource;
  }

  nlattr* filter = mnl_attr_nest_start(message, CTA_FILTER);
  mnl_attr_put_u32(message, CTA_FILTER_ORIG_FLAGS, original);
  mnl_attr_put_u32(message, CTA_FILTER_REPLY_FLAGS, reply);
  mnl_attr_nest_end(message, filter);

  MBX_ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  const Status status = socket.Send(batch);
  return status.sys_errno() == ENOENT ? Status() : status;
}

}  // namespace minibox::kernel
