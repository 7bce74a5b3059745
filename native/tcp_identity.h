#pragma once
#include <napi.h>

void InitTcpIdentity(Napi::Env env, Napi::Object exports);
