#pragma once
#include <napi.h>

// Throws an Error of Node's own shape: { code: 'ENOSPC', errno: -28, syscall }.
void ThrowSystemError(Napi::Env env, int error_number, const char* syscall);

// Throws ERR_INVALID_ARG_TYPE: the TypeScript above must never let this happen.
void ThrowArgumentError(Napi::Env env, const char* message);

// After a call into JavaScript from the event loop: what it threw goes to who listens for uncaught exceptions, or
// ends the process.
void ReportUncaught(napi_env env, napi_status status);
