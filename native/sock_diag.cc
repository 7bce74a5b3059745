#include "sock_diag.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

SockDiag::SockDiag()
    : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)), open_error_(fd_ < 0 ? errno : 0) {}

SockDiag::~SockDiag() {
  if (fd_ >= 0) close(fd_);
}

int SockDiag::Exchange(const void* request, size_t length) {
  if (fd_ < 0) return open_error_;
  struct sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  auto* address = reinterpret_cast<struct sockaddr*>(&kernel);
  if (sendto(fd_, request, length, 0, address, sizeof kernel) < 0) return errno;
  // The kernel answers within the call.
  ssize_t received = recv(fd_, answer_, sizeof answer_, MSG_DONTWAIT);
  if (received < 0) return errno;
  is_found_ = NLMSG_OK(header(), static_cast<size_t>(received)) && header()->nlmsg_type == SOCK_DIAG_BY_FAMILY;
  return 0;
}
