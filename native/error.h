#pragma once
#include <napi.h>

// Throws an Error of Node's own shape: { code: 'ENOSPC', errno: -28, syscall }.
void ThrowSystemError(Napi::Env env, int error_number, const char* syscall);

// The call that runs fails with such an Error: `native()` throws it in JavaScript. Not here: under
// --abort-on-uncaught-exception V8 takes what native code throws for uncaught, and a refused connection, or a peer that
// is gone, is nothing unusual.
void FailWith(Napi::Env env, int error_number, const char* syscall);

// What the call that ran failed with, if it did: the wrapper of each exported function returns it.
Napi::Value TakeFailure(Napi::Env env);

// Throws ERR_INVALID_ARG_TYPE: the TypeScript above must never let this happen.
void ThrowArgumentError(Napi::Env env, const char* message);

// After a call into JavaScript from the event loop: what it threw goes to who listens for uncaught exceptions, or
// ends the process.
void ReportUncaught(napi_env env, napi_status status);
