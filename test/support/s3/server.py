"""OpenStack Swift with its S3 interface, all four of its services in one process: a real store for tests.

    /usr/bin/python3 server.py FOLDER PORT ACCOUNT_PORT CONTAINER_PORT OBJECT_PORT

Reads the access key and its secret from the variables S3_ACCESS_KEY and S3_SECRET_KEY. S3_STRANGER_KEY, when it is set,
is another user (of the same secret) who may do nothing. Listens on 127.0.0.1 and ends with SIGTERM.
"""
import eventlet

eventlet.monkey_patch()

import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from array import array  # noqa: E402
from time import time as now  # noqa: E402

from eventlet import wsgi  # noqa: E402
from swift.account import server as account_server  # noqa: E402
from swift.common import utils  # noqa: E402
from swift.common.ring import RingData  # noqa: E402
from swift.common.wsgi import loadapp  # noqa: E402
from swift.container import server as container_server  # noqa: E402
from swift.obj import server as object_server  # noqa: E402

CACHE_SECONDS = 1

PROXY = """
[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors gatekeeper proxy-logging listing_formats s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
# What Amazon refuses is refused: parts but the last have 5 MiB at least.
min_segment_size = 5242880
[filter:tempauth]
use = egg:swift#tempauth
user_test_{user} = {secret} .admin
{reader}
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


class Cache:
    """What Swift asks a memcached for, in this process. Nothing lives long: tests remove buckets behind its back."""

    def __init__(self, app):
        self.app = app
        self.values = {}

    def __call__(self, environ, start_response):
        environ['swift.cache'] = self
        return self.app(environ, start_response)

    def get(self, key, raise_on_error=False):
        value, until = self.values.get(key, (None, 0))
        return value if now() < until else None

    def set(self, key, value, serialize=True, time=0, min_compress_len=0, raise_on_error=False):
        self.values[key] = (value, now() + CACHE_SECONDS)

    def incr(self, key, delta=1, time=0):
        value = int(self.get(key) or 0) + delta
        self.set(key, value)
        return value

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -delta, time)

    def delete(self, key, server_key=None):
        self.values.pop(key, None)


def make_rings(folder, ports):
    for name in ('account', 'container', 'object'):
        device = {
            'id': 0, 'zone': 0, 'region': 1, 'weight': 1.0, 'device': 'd1', 'meta': '',
            'ip': '127.0.0.1', 'port': ports[name], 'replication_ip': '127.0.0.1', 'replication_port': ports[name],
        }
        RingData([array('H', [0])], [device], 32).save(os.path.join(folder, name + '.ring.gz'))


def main():
    folder = sys.argv[1]
    port, *others = (int(word) for word in sys.argv[2:6])
    ports = dict(zip(('account', 'container', 'object'), others))
    devices = os.path.join(folder, 'devices')
    os.makedirs(os.path.join(devices, 'd1', 'tmp'), exist_ok=True)
    utils.HASH_PATH_SUFFIX = b'forge'
    utils.HASH_PATH_PREFIX = b''
    utils.FALLOCATE_RESERVE = 0
    make_rings(folder, ports)
    conf = {'devices': devices, 'swift_dir': folder, 'mount_check': 'false', 'disable_fallocate': 'true'}
    user, secret = os.environ['S3_ACCESS_KEY'], os.environ['S3_SECRET_KEY']
    reader = os.environ.get('S3_STRANGER_KEY')
    text = PROXY.format(
        folder=folder,
        user=user.partition(':')[2],
        secret=secret,
        reader='user_test_%s = %s' % (reader.partition(':')[2], secret) if reader else '',
    )
    file = os.path.join(folder, 'proxy.conf')
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as out:
        out.write(text)
    services = [
        (ports['account'], account_server.AccountController(conf, logger=utils.get_logger(conf))),
        (ports['container'], container_server.ContainerController(conf, logger=utils.get_logger(conf))),
        (ports['object'], object_server.ObjectController(conf, logger=utils.get_logger(conf))),
        (port, Cache(loadapp(file, allow_modify_pipeline=False))),
    ]
    null = open(os.devnull, 'w')
    pool = eventlet.GreenPool()
    for number, app in services:
        listener = eventlet.listen(('127.0.0.1', number), backlog=256)
        eventlet.spawn(wsgi.server, listener, app, log=null, log_output=False, custom_pool=pool,
                       max_size=1000, capitalize_response_headers=False)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    parent = os.getppid()
    print('ready', flush=True)
    # A test that was killed leaves no server behind.
    while os.getppid() == parent:
        eventlet.sleep(1)
    os._exit(0)


if __name__ == '__main__':
    main()
