// The C ABI of the library's control half: the functions uplink-python calls for grants,
// projects and buckets. Names, layouts and the codes below 0x100 are those of libuplinkc.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef const char uplink_const_char;

// What an error means. Codes from 0x100 upwards are ours, for what libuplinkc has no code for.
enum {
    UPLINK_ERROR_INTERNAL = 0x02,
    UPLINK_ERROR_CANCELED = 0x03,
    UPLINK_ERROR_INVALID_HANDLE = 0x04,
    UPLINK_ERROR_TOO_MANY_REQUESTS = 0x05,
    UPLINK_ERROR_BANDWIDTH_LIMIT_EXCEEDED = 0x06,
    UPLINK_ERROR_STORAGE_LIMIT_EXCEEDED = 0x07,
    UPLINK_ERROR_SEGMENTS_LIMIT_EXCEEDED = 0x08,
    UPLINK_ERROR_PERMISSION_DENIED = 0x09,

    UPLINK_ERROR_BUCKET_NAME_INVALID = 0x10,
    UPLINK_ERROR_BUCKET_ALREADY_EXISTS = 0x11,
    UPLINK_ERROR_BUCKET_NOT_EMPTY = 0x12,
    UPLINK_ERROR_BUCKET_NOT_FOUND = 0x13,

    UPLINK_ERROR_OBJECT_KEY_INVALID = 0x20,
    UPLINK_ERROR_OBJECT_NOT_FOUND = 0x21,
    UPLINK_ERROR_UPLOAD_DONE = 0x22,

    BRIDGE_ERROR_TIMEOUT = 0x100,            // a deadline passed
    BRIDGE_ERROR_NETWORK = 0x101,            // no connection, or one that broke
    BRIDGE_ERROR_UNAVAILABLE = 0x102,        // the satellite answers that it cannot serve now
    BRIDGE_ERROR_NODES = 0x103,              // too few storage nodes took or gave the data
    BRIDGE_ERROR_WRONG_SATELLITE = 0x104,    // who answered is not who the grant names
    BRIDGE_ERROR_UNAUTHENTICATED = 0x105,    // the satellite cannot read the API key
    BRIDGE_ERROR_GRANT_INVALID = 0x106,      // not an access grant
    BRIDGE_ERROR_ARGUMENT_INVALID = 0x107,   // a NULL, a prefix without a slash, a bad version
    BRIDGE_ERROR_OBJECT_EXISTS = 0x108,      // if-absent found an object there
    BRIDGE_ERROR_PRECONDITION_FAILED = 0x109,
    BRIDGE_ERROR_METADATA_TOO_LARGE = 0x10a,
    BRIDGE_ERROR_BUCKETS_LIMIT_EXCEEDED = 0x10b,
    BRIDGE_ERROR_UPLOAD_NOT_FOUND = 0x10c,   // no such multipart upload, or a lost pending object
    BRIDGE_ERROR_OBJECT_LOCKED = 0x10d,      // object lock or a delete marker forbids it
    BRIDGE_ERROR_DECRYPTION_FAILED = 0x10e,  // the grant's key does not open it
    BRIDGE_ERROR_NOT_IMPLEMENTED = 0x10f,
    BRIDGE_ERROR_OBJECT_CHANGED = 0x110,     // another changed it during a move or copy
    BRIDGE_ERROR_PART_TOO_SMALL = 0x111,     // and is not the last one of its upload
};

typedef struct UplinkAccess {
    size_t _handle;
} UplinkAccess;

typedef struct UplinkProject {
    size_t _handle;
} UplinkProject;

typedef struct UplinkEncryptionKey {
    size_t _handle;
} UplinkEncryptionKey;

typedef struct UplinkBucketIterator {
    size_t _handle;
} UplinkBucketIterator;

typedef struct UplinkConfig {
    const char *user_agent;
    int32_t dial_timeout_milliseconds; // 0: uplink's 10 s, negative: none
    const char *temp_directory;        // taken and left alone: downloads need no file
} UplinkConfig;

typedef struct UplinkPermission {
    bool allow_download;
    bool allow_upload;
    bool allow_list;
    bool allow_delete;
    int64_t not_before; // Unix time in seconds; 0: no limit
    int64_t not_after;  // Unix time in seconds; 0: no limit
} UplinkPermission;

typedef struct UplinkSharePrefix {
    const char *bucket;
    const char *prefix;
} UplinkSharePrefix;

typedef struct UplinkBucket {
    char *name;
    int64_t created; // Unix time in seconds
} UplinkBucket;

typedef struct UplinkListBucketsOptions {
    const char *cursor; // the first bucket listed is the one after it
} UplinkListBucketsOptions;

typedef struct UplinkError {
    int32_t code;
    char *message;
} UplinkError;

typedef struct UplinkAccessResult {
    UplinkAccess *access;
    UplinkError *error;
} UplinkAccessResult;

typedef struct UplinkProjectResult {
    UplinkProject *project;
    UplinkError *error;
} UplinkProjectResult;

typedef struct UplinkBucketResult {
    UplinkBucket *bucket;
    UplinkError *error;
} UplinkBucketResult;

typedef struct UplinkStringResult {
    char *string;
    UplinkError *error;
} UplinkStringResult;

typedef struct UplinkEncryptionKeyResult {
    UplinkEncryptionKey *encryption_key;
    UplinkError *error;
} UplinkEncryptionKeyResult;
