/* A module for tests of commands that the proxy learns. It declares the few functions of Redis's module API that it
 * uses by itself (https://redis.io/docs/latest/develop/reference/modules/modules-api-ref/): no header is needed. */
#include <stddef.h>

typedef struct Ctx Ctx;
typedef struct String String;
typedef struct Key Key;
typedef struct Command Command;
typedef int (*CommandFunction)(Ctx *ctx, String **argv, int argc);

static int (*SetModuleAttribs)(Ctx *, const char *, int, int);
static int (*CreateCommand)(Ctx *, const char *, CommandFunction, const char *, int, int, int);
static Command *(*GetCommand)(Ctx *, const char *);
static int (*CreateSubcommand)(Command *, const char *, CommandFunction, const char *, int, int, int);
static int (*WrongArity)(Ctx *);
static int (*ReplyWithString)(Ctx *, String *);
static int (*ReplyWithSimpleString)(Ctx *, const char *);
static int (*ReplyWithLongLong)(Ctx *, long long);
static int (*ReplyWithNull)(Ctx *);
static Key *(*OpenKey)(Ctx *, String *, int);
static int (*StringSet)(Key *, String *);
static size_t (*ValueLength)(Key *);
static void (*CloseKey)(Key *);
static int (*ReplicateVerbatim)(Ctx *);

enum { OK = 0, READ = 1, WRITE = 2, API_VERSION = 1 };

/* FORGE.PUT key value: sets a string. */
static int put(Ctx *ctx, String **argv, int argc) {
  if (argc != 3) return WrongArity(ctx);
  Key *key = OpenKey(ctx, argv[1], READ | WRITE);
  StringSet(key, argv[2]);
  CloseKey(key);
  ReplicateVerbatim(ctx);
  return ReplyWithString(ctx, argv[2]);
}

/* FORGE.SIZE key, FORGE.BOX SIZE key: the length of a value; null when there is none. */
static int size(Ctx *ctx, String *name) {
  Key *key = OpenKey(ctx, name, READ);
  if (key == NULL) return ReplyWithNull(ctx);
  size_t length = ValueLength(key);
  CloseKey(key);
  return ReplyWithLongLong(ctx, (long long)length);
}

static int sizeCommand(Ctx *ctx, String **argv, int argc) {
  return argc == 2 ? size(ctx, argv[1]) : WrongArity(ctx);
}

static int boxSize(Ctx *ctx, String **argv, int argc) {
  return argc == 3 ? size(ctx, argv[2]) : WrongArity(ctx);
}

/* FORGE.ADMIN: what an application may not do. */
static int admin(Ctx *ctx, String **argv, int argc) {
  (void)argv;
  (void)argc;
  return ReplyWithSimpleString(ctx, "OK");
}

int RedisModule_OnLoad(Ctx *ctx, String **argv, int argc) {
  (void)argv;
  (void)argc;
  /* The context begins with the function that gives all others. */
  int (*get)(const char *, void *) = (int (*)(const char *, void *))((void **)ctx)[0];
  get("RedisModule_SetModuleAttribs", &SetModuleAttribs);
  get("RedisModule_CreateCommand", &CreateCommand);
  get("RedisModule_GetCommand", &GetCommand);
  get("RedisModule_CreateSubcommand", &CreateSubcommand);
  get("RedisModule_WrongArity", &WrongArity);
  get("RedisModule_ReplyWithString", &ReplyWithString);
  get("RedisModule_ReplyWithSimpleString", &ReplyWithSimpleString);
  get("RedisModule_ReplyWithLongLong", &ReplyWithLongLong);
  get("RedisModule_ReplyWithNull", &ReplyWithNull);
  get("RedisModule_OpenKey", &OpenKey);
  get("RedisModule_StringSet", &StringSet);
  get("RedisModule_ValueLength", &ValueLength);
  get("RedisModule_CloseKey", &CloseKey);
  get("RedisModule_ReplicateVerbatim", &ReplicateVerbatim);
  SetModuleAttribs(ctx, "forge", 1, API_VERSION);
  if (CreateCommand(ctx, "forge.put", put, "write deny-oom", 1, 1, 1) != OK) return 1;
  if (CreateCommand(ctx, "forge.size", sizeCommand, "readonly fast", 1, 1, 1) != OK) return 1;
  if (CreateCommand(ctx, "forge.admin", admin, "admin", 0, 0, 0) != OK) return 1;
  if (CreateCommand(ctx, "forge.box", NULL, "", 0, 0, 0) != OK) return 1;
  return CreateSubcommand(GetCommand(ctx, "forge.box"), "size", boxSize, "readonly", 2, 2, 1) == OK ? 0 : 1;
}
