"""boto3 as a second client: one JSON request a line on standard input, one JSON answer a line.

Credentials come with each request, never in an argument or the environment.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# One attempt: a refusal is an answer here, not a reason to try again.
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30)


def answer(endpoint, request):
    client = boto3.client(
        request["service"],
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id=request["access_key_id"],
        aws_secret_access_key=request["secret_access_key"],
        config=CONFIG,
    )
    try:
        return {"ok": getattr(client, request["call"])(**request["arguments"])}
    except (ClientError, BotoCoreError) as error:
        return {"error": str(error)}


for line in sys.stdin:
    print(json.dumps(answer(sys.argv[1], json.loads(line)), default=str), flush=True)
