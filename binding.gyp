{
  "targets": [
    {
      "target_name": "shmloop",
      "sources": [
        "native/addon.cc",
        "native/block_pool.cc",
        "native/closing.cc",
        "native/copy.cc",
        "native/deferral.cc",
        "native/descriptor.cc",
        "native/doorbell.cc",
        "native/error.cc",
        "native/file_lock.cc",
        "native/futex.cc",
        "native/hidden_memory.cc",
        "native/idle.cc",
        "native/sentinel.cc",
        "native/memory.cc",
        "native/poll.cc",
        "native/sock_diag.cc",
        "native/tcp_identity.cc",
        "native/unix_socket.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_ENABLE_MAYBE", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc!": ["-std=gnu++14", "-std=gnu++17", "-std=gnu++20", "-fno-rtti"],
      "cflags_cc": [
        "-std=c++17",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fvisibility=hidden",
        "-fno-exceptions"
      ],
      "cflags": ["<!@(node -p \"process.env.SHMLOOP_CFLAGS || ''\")"],
      "ldflags": ["<!@(node -p \"process.env.SHMLOOP_LDFLAGS || ''\")"]
    }
  ]
}
