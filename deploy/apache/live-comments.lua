-- What Apache can say without a gateway. EventSource gives up for ever on anything but 200: a stream is told to come back,
-- each viewer at a time of its own. A post may have been stored by a gateway that died over it.
function handle(r)
    local asked = r.subprocess_env['REDIRECT_REQUEST_METHOD']
    if not asked then return 404 end -- from outside
    local key = r.headers_in['Idempotency-Key'] or ''
    local accept = r.headers_in['Accept'] or ''
    local origin = r.headers_in['Origin']
    r.headers_out['Cache-Control'] = 'no-store'
    if origin then
        r.headers_out['Access-Control-Allow-Origin'] = origin
        r.headers_out['Access-Control-Allow-Credentials'] = 'true'
    end
    r.content_type = 'application/json'
    if asked == 'POST' or asked == 'PUT' or asked == 'DELETE' then
        local field = key:match('^[%w_.:~@-]+$') and ',"idempotencyKey":"' .. key .. '"' or ''
        r.status = 504
        r:puts('{"error":{"code":"OUTCOME_UNKNOWN","message":"the comment may have been stored: a retry with the same Idempotency-Key reveals the outcome"' .. field .. '}}')
    elseif accept:lower():find('text/event-stream', 1, true) then
        r.status = 200
        r.content_type = 'text/event-stream'
        r:puts(string.format('retry: %d\n', 1500 + r:clock() % 3000))
    else
        r.status = 503
        r:puts('{"error":{"code":"UNAVAILABLE","message":"no gateway can be reached"}}')
    end
    return apache2.OK
end
