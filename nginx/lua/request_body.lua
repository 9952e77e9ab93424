-- Bodies of requests: who may send one is known before it is read, and it is read by nginx's event loop, so that
-- a slow one costs a connection and a file of nginx's, and no thread of a pool.

local ngx = ngx
local pairs, setmetatable = pairs, setmetatable

local settings
-- The bodies that come in now, from an object that only their request holds to its sender's address: nothing of Lua
-- runs for a client that hangs up, but then the object is garbage.
local coming = setmetatable({}, { __mode = "k" })

local function counted(address)
    local all, own = 0, 0
    for _, sender in pairs(coming) do
        all = all + 1
        own = own + (sender == address and 1 or 0)
    end
    return all, own
end

-- Return the status that refuses a further body, nil where it may come.
local function refusal(address)
    local all, own = counted(address)
    if all >= settings.most then
        return ngx.HTTP_SERVICE_UNAVAILABLE
    end
    -- Loopback, peers and others that the ini exempts are in $image_cloud_limited as "0".
    if settings.most_of_one > 0 and own >= settings.most_of_one and ngx.var.image_cloud_limited ~= "0" then
        return ngx.HTTP_TOO_MANY_REQUESTS
    end
end

local M = {}

-- Take the node's settings (image_cloud/node_files/nginx_node.py).
function M.configure(given)
    settings = given
end

-- Read the body within the time for a whole one (client_body_timeout is for a pause), or end the request.
function M.receive()
    local address = ngx.var.binary_remote_addr
    if refusal(address) then
        collectgarbage()
        local status = refusal(address)
        if status then
            return ngx.exit(status)
        end
    end
    local mark = {}
    coming[mark] = address
    local deadline = ngx.thread.spawn(function()
        ngx.sleep(settings.seconds)
        -- 408 itself would end the connection without an answer.
        ngx.exit(598)
    end)
    ngx.req.read_body()
    ngx.thread.kill(deadline)
    coming[mark] = nil
end

-- Answer without the body: what comes of it is thrown away unread.
M.drop = ngx.req.discard_body

return M
