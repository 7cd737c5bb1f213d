"""A day's work with boto3, one step a run: boto3_daily.py STEP FOLDER. Prints JSON; an exception is the test's failure."""

import hashlib
import json
import os
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["S3_ENDPOINT"]


def client(**more):
    # Path style, as the host is an address. Without s3v4 boto3 presigns for us-east-1 with the old signature.
    config = Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"max_attempts": 1})
    return boto3.client("s3", endpoint_url=ENDPOINT, config=config, **more)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return "OK", 200


def tree(folder):
    """Uploads FOLDER/from, lists it in pages, downloads it into FOLDER/to."""
    s3 = client()
    s3.create_bucket(Bucket="boto-tree")
    start = os.path.join(folder, "from")
    for parent, _, names in os.walk(start):
        for name in names:
            path = os.path.join(parent, name)
            s3.upload_file(path, "boto-tree", os.path.relpath(path, start))
    keys = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="boto-tree", PaginationConfig={"PageSize": 7}):
        keys += [entry["Key"] for entry in page.get("Contents", [])]
    for key in keys:
        path = os.path.join(folder, "to", key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        s3.download_file("boto-tree", key, path)
    return {"keys": keys, "sorted": keys == sorted(keys, key=lambda key: key.encode())}


def resources(_folder):
    """The object-oriented half: collections, filters and batch deletes."""
    s3 = boto3.resource("s3", endpoint_url=ENDPOINT)
    bucket = s3.create_bucket(Bucket="boto-resources")
    for i in range(25):
        bucket.put_object(Key=f"logs/{i:02}", Body=b"x" * i, ContentType="text/x-log", Metadata={"number": str(i)})
    one = s3.Object("boto-resources", "logs/07").get()
    bucket.objects.filter(Prefix="logs/1").delete()
    left = [entry.key for entry in bucket.objects.all()]
    bucket.objects.all().delete()
    bucket.delete()
    return {"left": left, "type": one["ContentType"], "number": one["Metadata"]["number"], "bytes": one["ContentLength"]}


def large(folder):
    """FOLDER/large in parts by several threads, with a full-object checksum, and back in ranges."""
    s3 = client()
    s3.create_bucket(Bucket="boto-large")
    config = TransferConfig(multipart_chunksize=16 << 20, max_concurrency=4)
    extra = {"ChecksumAlgorithm": "CRC64NVME"} if has_crt() else {"ChecksumAlgorithm": "CRC32"}
    s3.upload_file(os.path.join(folder, "large"), "boto-large", "large", Config=config, ExtraArgs=extra)
    head = s3.head_object(Bucket="boto-large", Key="large", ChecksumMode="ENABLED")
    s3.download_file("boto-large", "large", os.path.join(folder, "back"), Config=config)
    first = s3.get_object(Bucket="boto-large", Key="large", PartNumber=1)
    return {
        "sum": sha256(os.path.join(folder, "back")),
        "etag": head["ETag"],
        "checksum": [name for name in head if name.startswith("Checksum") and name != "ChecksumType"],
        "parts": first["PartsCount"],
        "firstBytes": first["ContentLength"],
    }


def has_crt():
    try:
        import awscrt  # noqa: F401
    except ImportError:
        return False
    return True


def presign(_folder):
    s3 = client()
    s3.create_bucket(Bucket="boto-presign")
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "boto-presign", "Key": "k"}, ExpiresIn=60)
    urlopen(urllib.request.Request(put, data=b"by url", method="PUT"))
    get = s3.generate_presigned_url("get_object", Params={"Bucket": "boto-presign", "Key": "k"}, ExpiresIn=60)
    post = s3.generate_presigned_post(
        "boto-presign", "form/${filename}", Conditions=[["content-length-range", 1, 10]], ExpiresIn=60
    )
    return {
        "body": urlopen(get).read().decode(),
        "posted": post_form(post, b"by form"),
        "tooLong": post_form(post, b"more than ten bytes"),
        "key": s3.list_objects_v2(Bucket="boto-presign", Prefix="form/")["Contents"][0]["Key"],
    }


def urlopen(request):
    import ssl

    bundle = os.environ.get("AWS_CA_BUNDLE")
    return urllib.request.urlopen(request, context=ssl.create_default_context(cafile=bundle))


def post_form(post, body):
    fields = "".join(
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in post["fields"].items()
    )
    head = f'{fields}--edge\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n'
    data = head.encode() + body + b"\r\n--edge--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    try:
        return urlopen(urllib.request.Request(post["url"], data=data, headers=headers)).status
    except urllib.error.HTTPError as error:
        return error.code


def versions(_folder):
    s3 = client()
    s3.create_bucket(Bucket="boto-versions")
    s3.put_bucket_versioning(Bucket="boto-versions", VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket="boto-versions", Key="k", Body=text)["VersionId"] for text in ("one", "two")]
    first = s3.get_object(Bucket="boto-versions", Key="k", VersionId=ids[0])["Body"].read().decode()
    marker = s3.delete_object(Bucket="boto-versions", Key="k")
    gone = code_of(s3.get_object, Bucket="boto-versions", Key="k")
    s3.delete_object(Bucket="boto-versions", Key="k", VersionId=marker["VersionId"])
    last = s3.get_object(Bucket="boto-versions", Key="k")["Body"].read().decode()
    boto3.resource("s3", endpoint_url=ENDPOINT).Bucket("boto-versions").object_versions.delete()
    s3.delete_bucket(Bucket="boto-versions")
    return {"first": first, "gone": gone, "last": last, "marker": marker["DeleteMarker"]}


def conditions(_folder):
    s3 = client()
    s3.create_bucket(Bucket="boto-conditions")
    etag = s3.put_object(Bucket="boto-conditions", Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    again = code_of(s3.put_object, Bucket="boto-conditions", Key="k", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket="boto-conditions", Key="k", Body=b"3", IfMatch=etag)
    stale = code_of(s3.put_object, Bucket="boto-conditions", Key="k", Body=b"4", IfMatch=etag)
    now = s3.head_object(Bucket="boto-conditions", Key="k")["ETag"]
    same = code_of(s3.get_object, Bucket="boto-conditions", Key="k", IfNoneMatch=now)
    return {"again": again, "stale": stale, "same": same}


def policies(_folder):
    s3 = client()
    s3.create_bucket(Bucket="boto-policies")
    missing = code_of(s3.get_bucket_policy, Bucket="boto-policies")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::boto-policies/locked/*"}
    s3.put_bucket_policy(Bucket="boto-policies", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    status = s3.get_bucket_policy_status(Bucket="boto-policies")["PolicyStatus"]["IsPublic"]
    broken = code_of(s3.put_bucket_policy, Bucket="boto-policies", Policy='{"Version": "2012-10-17"}')
    s3.delete_bucket_policy(Bucket="boto-policies")
    return {"missing": missing, "public": status, "broken": broken}


def errors(_folder):
    s3 = client()
    s3.create_bucket(Bucket="boto-errors")
    s3.put_object(Bucket="boto-errors", Key="k", Body=b"1")
    secret = "wrong-secret-key"
    wrong = client(aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key=secret)
    nobody = client(aws_access_key_id="NOBODYSKEY", aws_secret_access_key=secret)
    return {
        "bucket": code_of(s3.list_objects_v2, Bucket="boto-none"),
        "key": code_of(s3.get_object, Bucket="boto-errors", Key="none"),
        "full": code_of(s3.delete_bucket, Bucket="boto-errors"),
        "secret": code_of(wrong.list_buckets),
        "nobody": code_of(nobody.list_buckets),
    }


STEPS = [tree, resources, large, presign, versions, conditions, policies, errors]

if __name__ == "__main__":
    step = next(step for step in STEPS if step.__name__ == sys.argv[1])
    print(json.dumps(step(sys.argv[2])))
