#pragma once

// What a descriptor is, and so how it is closed.
enum class Origin {
  kOwn,       // made here: closing it takes no time
  kSocket,    // an AF_UNIX connection: what a peer has queued in it is closed with it
  kListener,  // of such connections
  kPeer,      // passed by a peer: may be anything, and closing it may take any time
};

// Closes fd. Where that could take long it is done by another thread.
void CloseDescriptor(int fd, Origin origin);
