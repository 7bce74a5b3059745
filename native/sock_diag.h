#pragma once
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

// One question to the kernel about one socket of this network namespace, and its answer.
class SockDiag {
 public:
  SockDiag();
  ~SockDiag();
  SockDiag(const SockDiag&) = delete;
  SockDiag& operator=(const SockDiag&) = delete;

  // Asks with a request of SOCK_DIAG_BY_FAMILY. Returns 0, or an errno; whether a socket was found is another matter.
  template <typename Body>
  int Ask(const Body& body) {
    struct {
      struct nlmsghdr header;
      Body body;
    } request = {};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.body = body;
    return Exchange(&request, sizeof request);
  }

  // What was found, or null.
  template <typename Message>
  const Message* Found() const {
    return is_found_ ? static_cast<const Message*>(NLMSG_DATA(header())) : nullptr;
  }

  // The payload of an attribute that follows what was found, and its length; null where there is none.
  template <typename Message>
  const void* Attribute(int type, size_t* length) const {
    auto* message = Found<Message>();
    int left = static_cast<int>(header()->nlmsg_len - NLMSG_LENGTH(sizeof *message));
    for (auto* attribute = reinterpret_cast<const struct rtattr*>(message + 1); RTA_OK(attribute, left);
         attribute = RTA_NEXT(attribute, left)) {
      if (attribute->rta_type != type) continue;
      *length = RTA_PAYLOAD(attribute);
      return RTA_DATA(attribute);
    }
    return nullptr;
  }

  // The socket that asks: it is in the network namespace that was searched. -1 when there is none.
  int socket() const { return fd_; }

 private:
  int Exchange(const void* request, size_t length);
  const struct nlmsghdr* header() const { return reinterpret_cast<const struct nlmsghdr*>(answer_); }

  const int fd_;
  const int open_error_;
  bool is_found_ = false;
  alignas(struct nlmsghdr) char answer_[4096];
};
